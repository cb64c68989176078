# stead added to an image that exists, here a Node.js app:
#   docker build -f docker/add-to-image.Dockerfile --build-arg BASE=my-api:1 -t my-api:1-stead .
# ENTRYPOINT empties the base image's CMD and replaces its entrypoint script. Repeat both, as
# `docker image inspect my-api:1` tells them: the script first, then the command.
ARG BASE=node:22-slim
ARG STEAD=stead:latest
FROM ${STEAD} AS stead

FROM ${BASE}
COPY --from=stead /stead /stead
ENTRYPOINT ["/stead", "run", "--"]
CMD ["docker-entrypoint.sh", "node", "server.js"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/stead", "check", "ready"]
