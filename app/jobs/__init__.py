"""Trainings as jobs: their records in SQL, the queue, and the supervision of the one that runs."""
