"""The living scenario, one idea a file: who, what they do, what they pay, and what goes wrong."""
