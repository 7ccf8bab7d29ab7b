"""Runs filed straight into the tables of MLflow: the writer for SQLite, PostgreSQL and MySQL."""
