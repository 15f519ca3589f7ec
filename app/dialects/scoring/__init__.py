"""The protocol of scoring servers and container platforms: MLflow, SageMaker and Vertex AI."""
