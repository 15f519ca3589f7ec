"""Trainings as jobs: their records in SQL, their queue, and the supervision of the one that runs."""
