# The binary and its licences, nothing else:
#   docker build -t unimo . && docker run --rm -v "$PWD:/data" -w /data unimo predict --model RUN "a gripping film"
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /unimo ./cmd/unimo

FROM scratch
COPY --from=build /unimo /unimo
COPY LICENSE NOTICE THIRD_PARTY_NOTICES /licences/
ENTRYPOINT ["/unimo"]
