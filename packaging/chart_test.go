package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const chart = "helm/unimo"

// variants are values that change what the chart makes.
var variants = map[string][]string{
	"as it is":     nil,
	"keys, index":  {"--set", "model.path=photos/best,model.index=photos/index,model.claim=models,keys.secret=photos", "--set", "hosts={models.example}", "--set", "args={--queue=4096}"},
	"many":         {"--set", "replicas=3,model.accessMode=ReadOnlyMany,model.storageClass=fast,service.type=LoadBalancer,pullSecrets={a,b}"},
	"no limits":    {"--set", "resources=null,podAnnotations=null"},
	"on some node": {"--set", "nodeSelector.disk=fast,tolerations[0].key=a,tolerations[0].operator=Exists,podLabels.team=b"},
}

func template(t *testing.T, helm string, values []string) string {
	t.Helper()
	return command(t, helm, append([]string{"template", "photos", chart, "--namespace", "ml"}, values...)...)
}

func TestChart(t *testing.T) {
	helm := tool(t, "helm")
	command(t, helm, "lint", "--strict", chart)
	text := template(t, helm, nil)
	for _, want := range []string{
		"runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false", "drop: [ALL]", "type: RuntimeDefault", "automountServiceAccountToken: false",
		"startupProbe:", "livenessProbe:", "path: /livez", "readinessProbe:", "path: /readyz", "limits:", "memory: 3Gi", "claimName: photos-unimo", "readOnly: true",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, values := range []string{"modle.path=a", "model.path=/a", "replicas=-1", "model.name=a b", "service.port=0"} {
		if out, err := exec.Command(helm, "template", chart, "--set", values).CombinedOutput(); err == nil {
			t.Errorf("%s is taken: %s", values, out)
		}
	}
}

// What the chart makes is what the oldest Kubernetes that it names and a new one take.
func TestChartConforms(t *testing.T) {
	helm, kubeconform := tool(t, "helm"), tool(t, "kubeconform")
	for _, kubernetes := range []string{"1.25.0", "1.37.0"} {
		schemas := filepath.Join(schemas(t, kubernetes), "{{.ResourceKind}}{{.KindSuffix}}.json")
		for name, values := range variants {
			cmd := exec.Command(kubeconform, "-strict", "-summary", "-kubernetes-version", kubernetes, "-schema-location", schemas)
			cmd.Stdin = strings.NewReader(template(t, helm, values))
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Invalid: 0, Errors: 0, Skipped: 0") {
				t.Errorf("Kubernetes %s, %s: %v\n%s", kubernetes, name, err, out)
			}
		}
		cmd := exec.Command(kubeconform, "-strict", "-kubernetes-version", kubernetes, "-schema-location", schemas)
		cmd.Stdin = strings.NewReader(strings.Replace(template(t, helm, nil), "readinessProbe", "readynessProbe", 1))
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("Kubernetes %s takes a key that it does not have\n%s", kubernetes, out)
		}
	}
}

// schemas returns a folder with the schemas of what the chart makes. Those that are installed name their place in the web, where kubeconform
// would look for what they refer to.
func schemas(t *testing.T, kubernetes string) string {
	t.Helper()
	found, err := filepath.Glob("../runs/kubernetes/lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema/v" + kubernetes + "-local-strict")
	if err != nil || len(found) != 1 {
		t.Skip("not run: Kubernetes' schemas are not in runs/kubernetes; run make packages")
	}
	dir := t.TempDir()
	for _, name := range []string{"_definitions.json", "deployment-apps-v1.json", "service-v1.json", "persistentvolumeclaim-v1.json"} {
		raw, err := os.ReadFile(filepath.Join(found[0], name))
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(raw, &schema); err != nil {
			t.Fatal(err)
		}
		delete(schema, "$id")
		if raw, err = json.Marshal(schema); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(string(raw), `"/api/_definitions.json`, `"_definitions.json`)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The program takes the arguments that the chart gives it: all that it misses is the model.
func TestChartArguments(t *testing.T) {
	helm := tool(t, "helm")
	if runtime.GOOS != "linux" {
		t.Skip("not run: the program in dist is for Linux")
	}
	program := one(t, fmt.Sprintf("unimo_linux_%s_*/unimo", runtime.GOARCH))
	for name, values := range variants {
		_, text, _ := strings.Cut(template(t, helm, values), "args:\n")
		var args []string
		for line := range strings.Lines(text) {
			arg, ok := strings.CutPrefix(line, "            - ")
			if !ok {
				break
			}
			args = append(args, strings.Trim(strings.TrimSpace(arg), `"`))
		}
		out, err := exec.Command(program, args...).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || args[0] != "serve" || !strings.Contains(string(out), "/models") || !strings.Contains(string(out), "does not exist") {
			t.Errorf("%s: unimo %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
}
