"""Texts with `@{name}` fields that `shardtape.deploy.manifests` fills in."""
