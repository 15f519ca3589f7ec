"""Scoring servers: MLflow's /invocations, SageMaker and Vertex AI."""
