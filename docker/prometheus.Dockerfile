# Prometheus from Debian's package, for machines that cannot pull prom/prometheus.
ARG BASE_IMAGE=node:24-bookworm-slim
FROM ${BASE_IMAGE} AS system
LABEL vtepd.stage=build
RUN apt-get update \
 && apt-get install -y --no-install-recommends prometheus \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /usr/local /opt/yarn* /usr/share/doc /usr/share/man /usr/share/locale /usr/share/i18n
# One layer of that, without the Node that was in the base.
FROM scratch
COPY --from=system / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN install -d -o nobody -g nogroup /prometheus
USER nobody
# The same entry point and folders as the public image, so that compose.yaml fits both.
ENTRYPOINT ["prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
