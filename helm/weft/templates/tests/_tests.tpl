{{/* "yes" if a test can ask: it has a key where one is asked for, and no certificate of its own. */}}
{{- define "weft.tests" -}}
{{- if and (or (not .Values.apiKeys.required) .Values.tests.apiKeySecret.name) (not .Values.tls.clientCASecret) -}}yes{{- end -}}
{{- end }}
