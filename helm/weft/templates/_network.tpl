{{/* Rules of NetworkPolicies. */}}

{{- define "weft.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "weft.partName" . }}
  labels: {{- include "weft.labels" . | nindent 4 }}
{{- end }}

{{/* From who may read metrics; nobody if the list is empty. */}}
{{- define "weft.fromMetrics" -}}
{{- with .root.Values.networkPolicy.metrics }}
- from: {{- toYaml . | nindent 4 }}
  ports: [{protocol: TCP, port: admin}]
{{- end }}
{{- end }}

{{/* The cluster's DNS is where it is: pods of kube-system, or an address of the node. */}}
{{- define "weft.toDNS" -}}
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}

{{/* The collector's port, wherever it is. */}}
{{- define "weft.toCollector" -}}
{{- with .root.Values.tracing.endpoint }}
- ports: [{protocol: TCP, port: {{ include "weft.urlPort" . }}}]
{{- end }}
{{- end }}

{{- define "weft.toHub" -}}
- to:
    {{- range .root.Values.networkPolicy.hubCIDRs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports: [{protocol: TCP, port: {{ .root.Values.modelPull.endpoint | default "https://hub" | include "weft.urlPort" }}}]
{{- end }}

{{- define "weft.urlPort" -}}
{{- $url := urlParse . -}}
{{- if regexMatch ":[0-9]+$" $url.host -}}{{ regexFind "[0-9]+$" $url.host }}
{{- else -}}{{ eq $url.scheme "https" | ternary 443 80 }}{{- end -}}
{{- end }}
