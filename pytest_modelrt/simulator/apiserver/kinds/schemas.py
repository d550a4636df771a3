"""Schemas of the built-in kinds in the notation of :mod:`..schema.notation`.

Parts nobody here computes with (affinity, security contexts, probe handlers, volume sources, …) are ``any``.
"""

from __future__ import annotations

from functools import lru_cache

from pytest_modelrt.simulator.apiserver.schema.notation import parse
from pytest_modelrt.simulator.apiserver.values import JSON

_PODS = """
Pod: spec:PodSpec status:PodStatus
PodTemplate: template:PodTemplateSpec
PodTemplateSpec: metadata:TemplateMeta spec:PodSpec
TemplateMeta: name:s generateName:s namespace:s labels:{s} annotations:{s} creationTimestamp:t finalizers:<s>
  ownerReferences:[OwnerReference|uid]
OwnerReference: apiVersion:s kind:s name:s uid:s controller:b blockOwnerDeletion:b
LocalRef: name:s
ObjectRef: apiVersion:s kind:s name:s namespace:s uid:s resourceVersion:s fieldPath:s
LabelSelector: matchLabels:{s} matchExpressions:[Requirement]
Requirement: key:s! operator:s! values:[s]
PodSpec: containers:[Container|name]! initContainers:[Container|name] ephemeralContainers:[Container|name]
  volumes:[Volume|name] restartPolicy:s=Always terminationGracePeriodSeconds:i=30 activeDeadlineSeconds:i
  dnsPolicy:s=ClusterFirst nodeSelector:~{s} serviceAccountName:s serviceAccount:s automountServiceAccountToken:b
  nodeName:s hostNetwork:b hostPID:b hostIPC:b hostUsers:b shareProcessNamespace:b securityContext:any
  imagePullSecrets:[LocalRef|name] hostname:s subdomain:s affinity:any schedulerName:s=default-scheduler
  tolerations:[any] hostAliases:[HostAlias|ip] priorityClassName:s priority:i dnsConfig:any
  readinessGates:[any] runtimeClassName:s enableServiceLinks:b=true preemptionPolicy:s overhead:{q}
  topologySpreadConstraints:[TopologySpread|topologyKey,whenUnsatisfiable] setHostnameAsFQDN:b os:any
  schedulingGates:[SchedulingGate|name] resourceClaims:[PodResourceClaim|name] resources:Resources
  hostnameOverride:s workloadRef:any
SchedulingGate: name:s!
PodResourceClaim: name:s! resourceClaimName:s resourceClaimTemplateName:s
HostAlias: ip:s! hostnames:[s]
TopologySpread: maxSkew:i! topologyKey:s! whenUnsatisfiable:s! labelSelector:LabelSelector minDomains:i
  nodeAffinityPolicy:s nodeTaintsPolicy:s matchLabelKeys:[s]
Container: name:s! image:s command:[s] args:[s] workingDir:s ports:[ContainerPort|containerPort,protocol]
  envFrom:[any] env:[EnvVar|name] resources:Resources volumeMounts:[VolumeMount|mountPath]
  volumeDevices:[VolumeDevice|devicePath] livenessProbe:Probe readinessProbe:Probe startupProbe:Probe
  lifecycle:any terminationMessagePath:s=/dev/termination-log terminationMessagePolicy:s=File imagePullPolicy:s
  securityContext:any stdin:b stdinOnce:b tty:b restartPolicy:s restartPolicyRules:[any] resizePolicy:[any]
  targetContainerName:s
ContainerPort: name:s hostPort:i containerPort:i! protocol:s=TCP hostIP:s
EnvVar: name:s! value:s valueFrom:any
Resources: limits:{q} requests:{q} claims:[any]
VolumeMount: name:s! readOnly:b mountPath:s! subPath:s mountPropagation:s subPathExpr:s recursiveReadOnly:s
VolumeDevice: name:s! devicePath:s!
HttpGet: path:s port:p host:s scheme:s httpHeaders:[any]
Probe: exec:any httpGet:HttpGet tcpSocket:any grpc:any initialDelaySeconds:i timeoutSeconds:i=1 periodSeconds:i=10
  successThreshold:i=1 failureThreshold:i=3 terminationGracePeriodSeconds:i
Volume: name:s! hostPath:any emptyDir:any secret:any nfs:any iscsi:any glusterfs:any persistentVolumeClaim:any
  rbd:any downwardAPI:any fc:any configMap:any projected:any csi:any ephemeral:any image:any local:any
  awsElasticBlockStore:any gcePersistentDisk:any azureDisk:any azureFile:any cephfs:any flexVolume:any cinder:any
Condition: type:s! status:s! reason:s message:s lastTransitionTime:t lastProbeTime:t lastHeartbeatTime:t
  lastUpdateTime:t observedGeneration:i
PodStatus: phase:s conditions:[Condition|type] message:s reason:s nominatedNodeName:s hostIP:s
  hostIPs:[any] podIP:s podIPs:[PodIP|ip] startTime:t qosClass:s initContainerStatuses:[ContainerStatus]
  containerStatuses:[ContainerStatus] ephemeralContainerStatuses:[ContainerStatus] resize:s observedGeneration:i
  resourceClaimStatuses:[any] extendedResourceClaimStatus:any allocatedResources:{q} resources:Resources
PodIP: ip:s!
ContainerStatus: name:s state:any lastState:any ready:b restartCount:i image:s imageID:s containerID:s
  started:b allocatedResources:{q} resources:any volumeMounts:[any] user:any allocatedResourcesStatus:[any]
  stopSignal:s
"""

_CORE = """
Namespace: spec:NamespaceSpec status:NamespaceStatus
NamespaceSpec: finalizers:[s]
NamespaceStatus: phase:s conditions:[Condition|type]
ConfigMap: data:{s} binaryData:{s} immutable:b
Secret: data:{s} stringData:{s} type:s immutable:b
ServiceAccount: secrets:[ObjectRef|name] imagePullSecrets:[LocalRef] automountServiceAccountToken:b
Service: spec:ServiceSpec status:any
ServiceSpec: ports:[ServicePort|port,protocol] selector:~{s} clusterIP:s clusterIPs:[s] type:s=ClusterIP
  externalIPs:[s] sessionAffinity:s=None loadBalancerIP:s loadBalancerSourceRanges:[s] externalName:s
  externalTrafficPolicy:s healthCheckNodePort:i publishNotReadyAddresses:b sessionAffinityConfig:any
  ipFamilies:[s] ipFamilyPolicy:s allocateLoadBalancerNodePorts:b loadBalancerClass:s
  internalTrafficPolicy:s trafficDistribution:s
ServicePort: name:s protocol:s=TCP appProtocol:s port:i! targetPort:p nodePort:i
Endpoints: subsets:[any]
Node: spec:NodeSpec status:NodeStatus
NodeSpec: podCIDR:s podCIDRs:<s> providerID:s unschedulable:b taints:[Taint] configSource:any externalID:s
Taint: key:s! value:s effect:s! timeAdded:t
NodeStatus: capacity:{q} allocatable:{q} phase:s conditions:[Condition|type] addresses:[NodeAddress|type]
  daemonEndpoints:any nodeInfo:any images:[any] volumesInUse:[s] volumesAttached:[any] config:any
  runtimeHandlers:[any] features:any declaredFeatures:[s]
NodeAddress: type:s! address:s!
PersistentVolumeClaim: spec:any status:any
PersistentVolume: spec:any status:any
Event: involvedObject:ObjectRef reason:s message:s source:any firstTimestamp:t lastTimestamp:t count:i type:s
  eventTime:t series:any action:s related:ObjectRef reportingComponent:s reportingInstance:s
ResourceQuota: spec:any status:any
LimitRange: spec:any
ReplicationController: spec:any status:any
Binding: target:ObjectRef!
EndpointSlice: addressType:s! endpoints:[any] ports:[any]
StorageClass: provisioner:s! parameters:{s} reclaimPolicy:s mountOptions:[s] allowVolumeExpansion:b
  volumeBindingMode:s allowedTopologies:[any]
NetworkPolicy: spec:any
Ingress: spec:any status:any
IngressClass: spec:any
PriorityClass: value:i! globalDefault:b description:s preemptionPolicy:s
RuntimeClass: handler:s! overhead:any scheduling:any
Lease: spec:LeaseSpec
LeaseSpec: holderIdentity:s leaseDurationSeconds:i acquireTime:t renewTime:t leaseTransitions:i strategy:s
  preferredHolder:s
"""

_WORKLOADS = """
Deployment: spec:DeploymentSpec status:DeploymentStatus
DeploymentSpec: replicas:i=1 selector:LabelSelector! template:PodTemplateSpec! strategy:DeploymentStrategy
  minReadySeconds:i revisionHistoryLimit:i=10 paused:b progressDeadlineSeconds:i=600
DeploymentStrategy: type:s rollingUpdate:RollingUpdate
RollingUpdate: maxUnavailable:p maxSurge:p
DeploymentStatus: observedGeneration:i replicas:i updatedReplicas:i readyReplicas:i availableReplicas:i
  unavailableReplicas:i terminatingReplicas:i conditions:[Condition|type] collisionCount:i
ReplicaSet: spec:ReplicaSetSpec status:ReplicaSetStatus
ReplicaSetSpec: replicas:i=1 selector:LabelSelector! template:PodTemplateSpec minReadySeconds:i
ReplicaSetStatus: replicas:i fullyLabeledReplicas:i readyReplicas:i availableReplicas:i terminatingReplicas:i
  observedGeneration:i conditions:[Condition|type]
StatefulSet: spec:StatefulSetSpec status:StatefulSetStatus
StatefulSetSpec: replicas:i=1 selector:LabelSelector! template:PodTemplateSpec! volumeClaimTemplates:[any]
  serviceName:s podManagementPolicy:s=OrderedReady updateStrategy:any revisionHistoryLimit:i=10 minReadySeconds:i
  persistentVolumeClaimRetentionPolicy:any ordinals:any
StatefulSetStatus: observedGeneration:i replicas:i readyReplicas:i currentReplicas:i updatedReplicas:i
  currentRevision:s updateRevision:s collisionCount:i conditions:[Condition|type] availableReplicas:i
DaemonSet: spec:DaemonSetSpec status:DaemonSetStatus
DaemonSetSpec: selector:LabelSelector! template:PodTemplateSpec! updateStrategy:any minReadySeconds:i
  revisionHistoryLimit:i=10
DaemonSetStatus: currentNumberScheduled:i numberMisscheduled:i desiredNumberScheduled:i numberReady:i
  observedGeneration:i updatedNumberScheduled:i numberAvailable:i numberUnavailable:i collisionCount:i
  conditions:[Condition|type]
ControllerRevision: data:any revision:i!
Job: spec:JobSpec status:JobStatus
JobSpec: parallelism:i completions:i activeDeadlineSeconds:i podFailurePolicy:any successPolicy:any
  backoffLimit:i backoffLimitPerIndex:i maxFailedIndexes:i selector:LabelSelector manualSelector:b
  template:PodTemplateSpec! ttlSecondsAfterFinished:i completionMode:s=NonIndexed suspend:b=false
  podReplacementPolicy:s managedBy:s
JobStatus: conditions:[any] startTime:t completionTime:t active:i succeeded:i failed:i terminating:i
  completedIndexes:s failedIndexes:s uncountedTerminatedPods:any ready:i
CronJob: spec:CronJobSpec status:any
CronJobSpec: schedule:s! timeZone:s startingDeadlineSeconds:i concurrencyPolicy:s=Allow suspend:b=false
  jobTemplate:any! successfulJobsHistoryLimit:i=3 failedJobsHistoryLimit:i=1
HorizontalPodAutoscaler: spec:any status:any
PodDisruptionBudget: spec:PodDisruptionBudgetSpec status:any
PodDisruptionBudgetSpec: minAvailable:p maxUnavailable:p selector:LabelSelector unhealthyPodEvictionPolicy:s
Role: rules:[Rule]
ClusterRole: rules:[Rule] aggregationRule:any
Rule: verbs:[s]! apiGroups:[s] resources:[s] resourceNames:[s] nonResourceURLs:[s]
RoleBinding: subjects:[Subject] roleRef:RoleRef!
ClusterRoleBinding: subjects:[Subject] roleRef:RoleRef!
Subject: kind:s! apiGroup:s name:s! namespace:s
RoleRef: apiGroup:s kind:s! name:s!
SelfSubjectAccessReview: spec:AccessSpec
SubjectAccessReview: spec:AccessSpec
LocalSubjectAccessReview: spec:AccessSpec
AccessSpec: resourceAttributes:ResourceAttributes nonResourceAttributes:PathAttributes user:s groups:[s] uid:s
  extra:{[s]}
ResourceAttributes: namespace:s verb:s group:s version:s resource:s subresource:s name:s fieldSelector:any
  labelSelector:any
PathAttributes: path:s verb:s
SelfSubjectRulesReview: spec:RulesSpec
RulesSpec: namespace:s
SelfSubjectReview: status:any
TokenReview: spec:TokenReviewSpec
TokenReviewSpec: token:s audiences:[s]
TokenRequest: spec:TokenRequestSpec
TokenRequestSpec: audiences:[s] expirationSeconds:i boundObjectRef:BoundObjectRef
BoundObjectRef: kind:s apiVersion:s name:s uid:s
DeleteOptions: gracePeriodSeconds:i preconditions:Preconditions orphanDependents:b propagationPolicy:s dryRun:[s]
Preconditions: uid:s resourceVersion:s
Eviction: deleteOptions:DeleteOptions
Scale: spec:ScaleSpec
ScaleSpec: replicas:i
CustomResourceDefinition: spec:CustomResourceDefinitionSpec! status:any
CustomResourceDefinitionSpec: group:s! names:CrdNames! scope:s! versions:[CrdVersion]! conversion:any
  preserveUnknownFields:b
CrdNames: plural:s! singular:s shortNames:[s] kind:s! listKind:s categories:[s]
CrdVersion: name:s! served:b! storage:b! deprecated:b deprecationWarning:s schema:any subresources:any
  additionalPrinterColumns:[any] selectableFields:[any]
"""


@lru_cache(maxsize=1)
def types() -> dict[str, JSON]:
    """All built-in types by name."""
    return parse(_PODS + _CORE + _WORKLOADS)
