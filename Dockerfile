# syntax=docker/dockerfile:1.7
# The production image: one static binary without `surehook dev`, certificates,
# and a program for health checks. No shell, no package manager, no root.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
ENV CGO_ENABLED=0 GOFLAGS=-trimpath
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -tags nodev -ldflags "-s -w -X main.version=${VERSION}" -o /out/surehook ./cmd/surehook && \
    go build -ldflags "-s -w" -o /out/healthcheck ./deploy/healthcheck

FROM scratch
LABEL org.opencontainers.image.title="surehook" \
      org.opencontainers.image.description="The durable webhook receiver on Temporal" \
      org.opencontainers.image.source="https://github.com/surehook/surehook" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /zoneinfo.zip
COPY --from=build /out/surehook /out/healthcheck /
COPY LICENSE /
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 65532:65532
ENV ZONEINFO=/zoneinfo.zip SUREHOOK_CONFIG=/etc/surehook/surehook.yaml SUREHOOK_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/healthcheck", "http://127.0.0.1:8081/readyz"]
ENTRYPOINT ["/surehook"]
CMD ["serve"]
