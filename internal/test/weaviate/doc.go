// Package weaviate starts Weaviate servers for tests, alone and as a cluster. UNIMO_WEAVIATE names the program, which is built by
//
//	CGO_ENABLED=0 go install github.com/weaviate/weaviate/cmd/weaviate-server@v1.35.2
//
// in some 20 minutes; without it such tests are not run. They are asked on loopback addresses. But the ports of gRPC and of the cluster's data
// are open on all addresses of the machine meanwhile: Weaviate has no setting for those.
package weaviate
