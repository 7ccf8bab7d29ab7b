"""A store by MLflow's own client: servers, and whatever SQL does not reach."""
