{{/* What every pod of the release has in common. */}}

{{/* With the container's part below: the restricted profile of pod security. */}}
{{- define "weft.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# So that mounted Secrets, whose mode is 0440, and claims can be read.
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "weft.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end }}

{{/* (dict "root" "tier" (its values) "selector" (its labels)) */}}
{{- define "weft.podSettings" -}}
# Services as variables would become flags: a Service named weft sets WEFT_PORT.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext: {{- include "weft.podSecurity" .root | nindent 2 }}
{{- with .tier.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .tier.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tier.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tier.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tier.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey | quote }}
    maxSkew: {{ .maxSkew }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    {{- /* A node that is being drained is no place to spread to. */}}
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels: {{- $.selector | nindent 8 }}
    {{- /* A rollout's new pods are spread among themselves, wherever the old ones are. */}}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}

{{/* The admin port answers from the first moment on a thread of its own, so that a busy process is not
     taken for a dead one. Readiness is looked at often: it is what takes a draining pod, or a lost
     worker, out of the way. preStop begins the drain; SIGTERM, right behind it, changes nothing more. */}}
{{- define "weft.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
lifecycle:
  preStop:
    httpGet: {path: /drain, port: admin}
{{- end }}

{{/* Streams may take the drain's time to end (behind a gateway's delay); what is left is for the process
     to go. */}}
{{- define "weft.grace" -}}
{{ add (default 0 .drainDelay | int) (int .drainTimeout) 15 }}
{{- end }}

{{- define "weft.secretVolume" -}}
- name: {{ .name }}
  secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}
{{- end }}

{{/* (dict "part" "tier") */}}
{{- define "weft.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "weft.partName" .part }}
  labels: {{- include "weft.labels" .part | nindent 4 }}
spec:
  maxUnavailable: {{ .tier.maxUnavailable }}
  # Pods that are not ready serve nobody: they must not stand in the way of a drained node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "weft.selector" .part | nindent 6 }}
{{- end }}
