{{/* Flags as arguments of a container. */}}

{{/* A value as the binaries read it: Helm makes every number of a values file a float, which would print
     8589934592 as 8.589934592e+09. */}}
{{- define "weft.flagValue" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{/* What each tier takes, and behind it the flags of its values: {"max-n": 4} -> --max-n=4
     (dict "root" "flags"). */}}
{{- define "weft.commonFlags" -}}
- --log-format={{ .root.Values.log.format }}
- --log-level={{ .root.Values.log.level }}
{{- if eq .root.Values.peerTLS.mode "plaintext" }}
- --plaintext-peers
{{- else }}
- --peer-tls-cert=/etc/weft/peer-tls/tls.crt
- --peer-tls-key=/etc/weft/peer-tls/tls.key
- --peer-tls-ca=/etc/weft/peer-tls/ca.crt
{{- end }}
{{- range $name, $value := .flags }}
- {{ printf "--%s=%s" $name (include "weft.flagValue" $value) | quote }}
{{- end }}
{{- end }}

{{/* Where gateways and workers dial a group. The headless Service's name stands for all schedulers of
     the group; one that stands by names the leader, by its pod's address. */}}
{{- define "weft.schedulerAddress" -}}
{{ include "weft.partDNS" (dict "root" .root "component" "scheduler" "group" .group) }}:7000
{{- end }}
