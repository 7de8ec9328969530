"""How it is seen: Streamlit pages over the metrics. ``app.py`` is the frame, ``server.py`` starts it."""
