// Package inferencepb is the Open Inference Protocol's messages and service over gRPC, generated from inference.proto.
package inferencepb
