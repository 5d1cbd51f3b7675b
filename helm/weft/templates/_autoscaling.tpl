{{/* A KEDA ScaledObject of a part, by the sum of a gauge over pods:
     (dict "part" "autoscaling" "target" "metric" "pods" (their Deployment)). */}}
{{- define "weft.scaledObject" -}}
{{- $root := .part.root }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "weft.partName" .part }}
  labels: {{- include "weft.labels" .part | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "weft.partName" .part }}}
  minReplicaCount: {{ .autoscaling.minReplicas }}
  maxReplicaCount: {{ .autoscaling.maxReplicas }}
  pollingInterval: {{ $root.Values.keda.pollingInterval }}
  cooldownPeriod: {{ $root.Values.keda.cooldownPeriod }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown: {stabilizationWindowSeconds: 300}
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ $root.Values.keda.prometheusAddress }}
        query: sum({{ .metric }}{namespace="{{ $root.Release.Namespace }}",pod=~"{{ .pods }}-.*"})
        threshold: {{ .target | toString | quote }}
{{- end }}
