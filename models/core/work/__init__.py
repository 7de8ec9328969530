"""What people did on the platform: tasks, submissions, reviews, rewards."""
