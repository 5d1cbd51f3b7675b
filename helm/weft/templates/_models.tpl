{{/* Where a model's files come from. A source is one string:

       hf://owner/name@revision    fetched by `weft pull` before the container starts
       pvc://claim/path            a folder in a claim
       oci://registry/image:tag    an image's files, mounted by the kubelet; #path for a folder in it
       file:///path                a folder on the node

     A mount is /models/GROUP. What is fetched is in a folder of its source's: a claim may hold those of
     several revisions. Everywhere below: (dict "group" "source" ...). */}}

{{- define "weft.modelDir" -}}
{{- if hasPrefix "hf://" .source -}}
/pulled/{{ .group }}-{{ .source | sha256sum | trunc 8 }}
{{- else -}}
/models/{{ .group }}
{{- end -}}
{{- end }}

{{/* Without the volume of what `weft pull` fetches. */}}
{{- define "weft.modelVolume" -}}
{{- $url := urlParse .source }}
{{- if eq $url.scheme "pvc" }}
- name: model-{{ .group }}
  persistentVolumeClaim: {claimName: {{ $url.host | quote }}, readOnly: true}
{{- else if eq $url.scheme "oci" }}
- name: model-{{ .group }}
  image: {reference: {{ printf "%s%s" $url.host $url.path | quote }}, pullPolicy: IfNotPresent}
{{- else if eq $url.scheme "file" }}
- name: model-{{ .group }}
  hostPath: {path: {{ $url.path | quote }}, type: Directory}
{{- end }}
{{- end }}

{{- define "weft.modelMount" -}}
{{- $url := urlParse .source }}
{{- if ne $url.scheme "hf" }}
- name: model-{{ .group }}
  mountPath: {{ include "weft.modelDir" . }}
  readOnly: true
  {{- $subPath := trimAll "/" (eq $url.scheme "pvc" | ternary $url.path $url.fragment) }}
  {{- if and $subPath (ne $url.scheme "file") }}
  subPath: {{ $subPath | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What `weft pull` fetches into: the cache, in hub/, and beside it a folder for each model, whose
     weights are hard links to the cache's. So both are one volume. */}}
{{- define "weft.pullVolume" -}}
- name: pulled
  {{- with .Values.modelPull }}
  {{- if .cacheClaim }}
  persistentVolumeClaim: {claimName: {{ .cacheClaim | quote }}}
  {{- else if .cacheSizeLimit }}
  emptyDir: {sizeLimit: {{ .cacheSizeLimit | quote }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
  {{- end }}
{{- end }}

{{/* The init container of one hf:// source; with "root" and "tokenizerOnly". */}}
{{- define "weft.pullContainer" -}}
{{- with .root.Values.modelPull }}
- name: pull-{{ $.group }}
  image: {{ include "weft.image" (dict "root" $.root "image" "weft-tools") }}
  imagePullPolicy: {{ $.root.Values.image.pullPolicy }}
  args:
    - pull
    - {{ $.source | quote }}
    - --to={{ include "weft.modelDir" $ }}
    {{- if $.tokenizerOnly }}
    - --tokenizer-only
    {{- end }}
  env:
    - {name: HF_HUB_CACHE, value: /pulled/hub}
    {{- with .tokenSecret.name }}
    - name: HF_TOKEN
      valueFrom:
        secretKeyRef: {name: {{ . | quote }}, key: {{ $.root.Values.modelPull.tokenSecret.key | quote }}}
    {{- end }}
    {{- with .endpoint }}
    - {name: HF_ENDPOINT, value: {{ . | quote }}}
    {{- end }}
    {{- with .env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  resources: {{- toYaml .resources | nindent 4 }}
  securityContext: {{- include "weft.containerSecurity" $.root | nindent 4 }}
  volumeMounts:
    - {name: pulled, mountPath: /pulled}
{{- end }}
{{- end }}

{{/* "yes" if any model is fetched. */}}
{{- define "weft.pulls" -}}
{{- range .Values.models }}{{ if hasPrefix "hf://" .source }}yes{{ end }}{{ end -}}
{{- end }}

{{/* By which metrics of every tier call a model. */}}
{{- define "weft.firstName" -}}
{{ first (default (list .group) .model.servedNames) }}
{{- end }}
