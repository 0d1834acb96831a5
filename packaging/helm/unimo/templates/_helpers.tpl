{{- define "unimo.name" -}}
{{- if contains "unimo" .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-unimo" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "unimo.selector" -}}
app.kubernetes.io/name: unimo
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "unimo.labels" -}}
{{ include "unimo.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "unimo.claim" -}}
{{ .Values.model.claim | default (include "unimo.name" .) }}
{{- end }}
