"""The API described as OpenAPI 3.1, made from what validates, serialises and routes."""
