"""Kubernetes audit logs, of whatever service runs the cluster."""
