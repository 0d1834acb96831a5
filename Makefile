# make check    everything CI runs: format, vet, staticcheck, tests on every
#               instruction set, cross-compilation. Needs Go and a network (or a
#               filled module cache), nothing else.
# make build    the static binary ./unimo
# make fuzz     every fuzz target for FUZZTIME each
# make bench    benchmarks of the kernels, the tokenizer, checkpoints and pre-training
# make bench-peers  the comparison with PyTorch, ONNX Runtime and PaddlePaddle
#               (bench/README.md); installs them into runs/peers

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLATFORMS   = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
FUZZTIME   ?= 20s

export CGO_ENABLED = 0

.PHONY: check format vet test variants cross build fuzz bench bench-peers

check: format vet test variants cross

build:
	go build -trimpath -o unimo ./cmd/unimo

format:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "run gofmt -w on: $$files"; exit 1; fi

vet:
	go vet ./...
	cd internal/compute/kernels/asm && go vet ./...
	go run $(STATICCHECK) ./...

# The test of the layers asks go list, which the test cache does not see.
test:
	go test -count=1 .
	go test ./...

# The kernels and what depends on their numbers, on the slower instruction sets.
# (go test ./... above ran the best one this processor has. The test cache does not
# see the variable, hence -count=1.)
variants:
	UNIMO_CPU=avx2 go test -count=1 ./internal/compute/engine/... ./internal/compute/autograd/... ./internal/model/... ./internal/run/...
	UNIMO_CPU=generic go test -count=1 ./internal/compute/engine/... ./internal/compute/autograd/... ./internal/model/...

cross:
	@for p in $(PLATFORMS); do \
		echo "cross-compile and vet $$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} go build ./... && GOOS=$${p%/*} GOARCH=$${p#*/} go vet ./... || exit 1; \
	done

fuzz:
	@for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
		done; \
	done

bench:
	go test -run '^$$' -bench . -benchmem ./internal/compute/kernels ./tokenizer ./checkpoint ./internal/pretrain

PEERS = torch==2.15.0 transformers==5.23.0 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2 paddlepaddle==3.3.1

bench-peers:
	test -f runs/peers/ready || { python3 -m venv runs/peers && runs/peers/bin/pip install $(PEERS) && touch runs/peers/ready; }
	go run ./bench -python runs/peers/bin/python
