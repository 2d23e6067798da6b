package hosting

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// kubernetesObjects decodes the recipe into Kubernetes' own types, which refuse
// what they don't know.
func kubernetesObjects(t *testing.T) (deployment appsv1.Deployment, service corev1.Service, budget policyv1.PodDisruptionBudget) {
	t.Helper()
	objects := map[string]any{"Deployment": &deployment, "Service": &service, "PodDisruptionBudget": &budget}
	for text := range strings.SplitSeq(recipe(t, "gateway.yaml"), "\n---\n") {
		var kind metav1.TypeMeta
		require.NoError(t, yaml.Unmarshal([]byte(text), &kind))
		object := objects[kind.Kind]
		require.NotNil(t, object, kind.Kind)
		require.NoError(t, yaml.UnmarshalStrict([]byte(text), object))
		delete(objects, kind.Kind)
	}
	require.Empty(t, objects)
	assert.Equal(t, "apps/v1", deployment.APIVersion)
	assert.Equal(t, "v1", service.APIVersion)
	assert.Equal(t, "policy/v1", budget.APIVersion)
	return deployment, service, budget
}

func kubernetesContainer(t *testing.T) corev1.Container {
	t.Helper()
	deployment, _, _ := kubernetesObjects(t)
	require.Len(t, deployment.Spec.Template.Spec.Containers, 1)
	return deployment.Spec.Template.Spec.Containers[0]
}

// environmentOf is a container's, without what secrets hold.
func environmentOf(c corev1.Container) map[string]string {
	env := map[string]string{}
	for _, v := range c.Env {
		env[v.Name] = v.Value
	}
	return env
}

func TestKubernetes(t *testing.T) {
	deployment, service, budget := kubernetesObjects(t)
	pod, container := deployment.Spec.Template.Spec, kubernetesContainer(t)

	for name, selector := range map[string]map[string]string{
		"Deployment":          deployment.Spec.Selector.MatchLabels,
		"Service":             service.Spec.Selector,
		"PodDisruptionBudget": budget.Spec.Selector.MatchLabels,
	} {
		assert.NotEmpty(t, selector, name)
		assert.True(t, labels.SelectorFromSet(selector).Matches(labels.Set(deployment.Spec.Template.Labels)), name)
	}
	for _, name := range []string{deployment.Name, service.Name, budget.Name} {
		assert.Empty(t, validation.IsDNS1035Label(name), name)
	}
	ports := map[string]int32{}
	for _, p := range container.Ports {
		ports[p.Name] = p.ContainerPort
	}
	assert.EqualValues(t, 8080, ports[service.Spec.Ports[0].TargetPort.StrVal], "the Dockerfile's port")
	env := environmentOf(container)
	for path, probe := range map[string]*corev1.Probe{"/readyz": container.ReadinessProbe, "/healthz": container.LivenessProbe} {
		assert.Equal(t, path, probe.HTTPGet.Path)
		assert.Contains(t, ports, probe.HTTPGet.Port.StrVal)
	}
	assert.True(t, strings.HasSuffix(env["WHOP_LICENSE_METRICS_LISTEN"], ":9090"))
	assert.EqualValues(t, 9090, ports["metrics"])

	// A pod that ends is no longer sent requests before it stops answering.
	drain, err := time.ParseDuration(env["WHOP_LICENSE_DRAIN"])
	require.NoError(t, err)
	noticed := time.Duration(container.ReadinessProbe.PeriodSeconds*container.ReadinessProbe.FailureThreshold) * time.Second
	assert.Greater(t, drain, noticed)
	assert.Greater(t, time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, drain+30*time.Second)

	requireMounts(t, pod.Volumes, container)
	assert.EqualValues(t, 65532, *pod.SecurityContext.RunAsUser, "the image's user")
	assert.EqualValues(t, 65532, *pod.SecurityContext.FSGroup, "who may read the secrets")
	requireSettings(t, env, "--metrics-listen: listens on every address")
}

// requireMounts checks that each file that the settings name is mounted.
func requireMounts(t *testing.T, volumes []corev1.Volume, c corev1.Container) {
	t.Helper()
	files := map[string]bool{}
	for _, mount := range c.VolumeMounts {
		for _, volume := range volumes {
			if volume.Name == mount.Name {
				for _, item := range volume.Secret.Items {
					files[mount.MountPath+"/"+item.Path] = true
				}
			}
		}
	}
	env := environmentOf(c)
	for _, name := range []string{"WHOP_LICENSE_SIGNING_KEY", "WHOP_API_KEY_FILE"} {
		if env[name] != "" {
			assert.Contains(t, files, env[name])
		}
	}
}

// cloudRunService is Knative's Service, as far as Cloud Run takes it: its template
// is a pod's with two more fields.
type cloudRunService struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Spec            struct {
		Template struct {
			Metadata metav1.ObjectMeta `json:"metadata"`
			Spec     struct {
				corev1.PodSpec       `json:",inline"`
				ContainerConcurrency int64 `json:"containerConcurrency"`
				TimeoutSeconds       int64 `json:"timeoutSeconds"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

func readCloudRun(t *testing.T) cloudRunService {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict([]byte(recipe(t, "service.yaml")))
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var service cloudRunService
	require.NoError(t, decoder.Decode(&service))
	_, err = decoder.Token()
	require.True(t, errors.Is(err, io.EOF))
	return service
}

func cloudRunContainer(t *testing.T) corev1.Container {
	t.Helper()
	pod := readCloudRun(t).Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	return pod.Containers[0]
}

func TestCloudRun(t *testing.T) {
	service, container := readCloudRun(t), cloudRunContainer(t)
	assert.Equal(t, "serving.knative.dev/v1", service.APIVersion)
	assert.Equal(t, "Service", service.Kind)
	assert.EqualValues(t, 8080, container.Ports[0].ContainerPort)
	assert.Equal(t, "/readyz", container.StartupProbe.HTTPGet.Path)
	env := environmentOf(container)
	requireMounts(t, service.Spec.Template.Spec.Volumes, container)
	requireStops(t, "10s", env)
	requireSettings(t, env)
}
