{{/* What things are called. Groups' names have at most 20 characters (values.schema.json), so that
     with the release's 30 every name stays within the 63 of a DNS label. */}}

{{- define "weft.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 30 | trimSuffix "-" }}
{{- end }}

{{- define "weft.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 30 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 30 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 30 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* A part of the release: (dict "root" $ "component" "worker" ["group" "r1"]). */}}
{{- define "weft.partName" -}}
{{ include "weft.fullname" .root }}{{ with .group }}-{{ . }}{{ end }}-{{ .component }}
{{- end }}

{{/* Where a Service, or the name in a certificate, of that part is. */}}
{{- define "weft.partDNS" -}}
{{ include "weft.partName" . }}.{{ .root.Release.Namespace }}.svc
{{- end }}

{{- define "weft.selector" -}}
app.kubernetes.io/name: {{ include "weft.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
weft.dev/group: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Of objects that belong to the release as a whole: (dict "root" $). */}}
{{- define "weft.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- if .component }}
{{ include "weft.selector" . }}
{{- else }}
app.kubernetes.io/name: {{ include "weft.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end }}
{{- end }}

{{- define "weft.image" -}}
{{- with .root.Values.image -}}
{{ with .registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $.image }}:{{ .tag | default $.root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "weft.apiKeySecret" -}}
{{ .Values.apiKeys.existingSecret | default (printf "%s-api-keys" (include "weft.fullname" .)) }}
{{- end }}

{{- define "weft.tlsSecret" -}}
{{ .Values.tls.existingSecret | default (printf "%s-tls" (include "weft.fullname" .)) }}
{{- end }}

{{/* The Secret with the certificate that a tier shows the others. */}}
{{- define "weft.peerSecret" -}}
{{ include "weft.partName" . }}-peer-tls
{{- end }}
