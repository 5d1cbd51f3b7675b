{{/* Where a model's files come from. A source is one string:

       hf://owner/name@revision    fetched by `weft pull` before the container starts
       pvc://claim/path            a folder in a claim
       oci://registry/image:tag    an image's files, mounted by the kubelet; #path for a folder in it
       file:///path                a folder on the node

     A mount is /models/GROUP; what is fetched is at /pulled/GROUP, for no mount can be made inside a
     volume that is mounted read-only. Everywhere below: (dict "group" "source" ...). */}}

{{- define "weft.modelDir" -}}
/{{ hasPrefix "hf://" .source | ternary "pulled" "models" }}/{{ .group }}
{{- end }}

{{/* Without the volumes that `weft pull` shares. */}}
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

{{/* What `weft pull` shares with the container behind it: the cache, and the links into it that give
     each model a path which says nothing of the commit. */}}
{{- define "weft.pullVolumes" -}}
- name: pulled
  emptyDir: {sizeLimit: 1Mi}
- name: cache
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

{{- define "weft.pullMounts" -}}
- {name: pulled, mountPath: /pulled, readOnly: true}
- {name: cache, mountPath: /cache, readOnly: true}
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
    - --cache-dir=/cache
    - --link={{ include "weft.modelDir" $ }}
    {{- if $.tokenizerOnly }}
    - --tokenizer-only
    {{- end }}
  {{- if or .tokenSecret.name .endpoint .env }}
  env:
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
  {{- end }}
  resources: {{- toYaml .resources | nindent 4 }}
  securityContext: {{- include "weft.containerSecurity" $.root | nindent 4 }}
  volumeMounts:
    - {name: pulled, mountPath: /pulled}
    - {name: cache, mountPath: /cache}
{{- end }}
{{- end }}

{{/* "yes" if any model is fetched. */}}
{{- define "weft.pulls" -}}
{{- range .Values.models }}{{ if hasPrefix "hf://" .source }}yes{{ end }}{{ end -}}
{{- end }}

{{/* The name that metrics of schedulers and workers get from the PodMonitor: the one that gateways give
     theirs. An annotation, since a model's name may have a slash. */}}
{{- define "weft.modelAnnotation" -}}
weft.dev/model: {{ first (default (list .group) .model.servedNames) | quote }}
{{- end }}
