{{/* What a schema cannot say. Each message begins with the value that it is about. */}}
{{- define "weft.validate" -}}
{{- if and .Values.apiKeys.required (not .Values.apiKeys.existingSecret) (not .Values.apiKeys.entries) }}
{{- fail "apiKeys: there is neither existingSecret nor an entry. required: false serves everybody." }}
{{- end }}
{{- if and .Values.apiKeys.existingSecret .Values.apiKeys.entries }}
{{- fail "apiKeys: existingSecret or entries, not both" }}
{{- end }}
{{- $owners := dict }}
{{- range $group, $model := .Values.models }}
{{- $name := include "weft.firstName" (dict "group" $group "model" $model) }}
{{- with get $owners $name }}
{{- fail (printf "models.%s.servedNames: %s is the first of %s, too, and metrics are by the first" $group $name .) }}
{{- end }}
{{- $_ := set $owners $name $group }}
{{- if and (hasPrefix "oci://" $model.source) (not (semverCompare ">=1.33.0-0" $.Capabilities.KubeVersion.Version)) }}
{{- fail (printf "models.%s.source: oci:// needs Kubernetes 1.33, this is %s" $group $.Capabilities.KubeVersion.Version) }}
{{- end }}
{{- $worker := mergeOverwrite (deepCopy $.Values.worker) (deepCopy (default dict $model.worker)) }}
{{- $rollout := $worker.rollingUpdate }}
{{- if and (has (toString $rollout.maxSurge) (list "0" "0%")) (has (toString $rollout.maxUnavailable) (list "0" "0%")) }}
{{- fail (printf "models.%s.worker.rollingUpdate: maxSurge or maxUnavailable must be above 0" $group) }}
{{- end }}
{{- if lt (int $worker.autoscaling.maxReplicas) (int $worker.autoscaling.minReplicas) }}
{{- fail (printf "models.%s.worker.autoscaling.maxReplicas: is below minReplicas" $group) }}
{{- end }}
{{- if and (eq $worker.autoscaling.mode "keda") (not $.Values.keda.prometheusAddress) }}
{{- fail (printf "keda.prometheusAddress: models.%s.worker.autoscaling asks for it" $group) }}
{{- end }}
{{- end }}
{{- with .Values.gateway.autoscaling }}
{{- if lt (int .maxReplicas) (int .minReplicas) }}
{{- fail "gateway.autoscaling.maxReplicas: is below minReplicas" }}
{{- end }}
{{- end }}
{{- if and (eq .Values.gateway.autoscaling.mode "keda") (not .Values.keda.prometheusAddress) }}
{{- fail "keda.prometheusAddress: gateway.autoscaling asks for it" }}
{{- end }}
{{- end }}
