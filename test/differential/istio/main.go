// Runs Istio's own compiler of authorization and request authentication: one JSON job a line on standard input, one JSON
// answer a line on standard output. Policies are taken without validation, as a data plane would act on them.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pilot/pkg/config/memory"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/security/authn"
	"istio.io/istio/pilot/pkg/security/authz/builder"
	"istio.io/istio/pilot/pkg/security/trustdomain"
	"istio.io/istio/pilot/pkg/serviceregistry/provider"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/config/schema/collections"
)

// job is a workload with the policies around it, and the filters that somebody else made of them.
type job struct {
	Policies   string            `json:"policies"`
	MeshConfig string            `json:"meshConfig"`
	Namespace  string            `json:"namespace"`
	Labels     map[string]string `json:"labels"`
	// Role is sidecar, router or waypoint.
	Role    string   `json:"role"`
	Service *service `json:"service"`
	// Hosts are those that providers may name, as NAMESPACE/HOST.
	Hosts []string `json:"hosts"`
	Ours  filters  `json:"ours"`
}

type service struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// External says that it is a ServiceEntry.
	External bool `json:"external"`
}

type filters struct {
	HTTP []json.RawMessage `json:"http"`
	TCP  []json.RawMessage `json:"tcp"`
}

// answer holds Istio's filters, and those of the job as Protobuf's JSON writes them, so that both can be compared.
type answer struct {
	Error string  `json:"error,omitempty"`
	Istio filters `json:"istio"`
	Ours  filters `json:"ours"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			text, failure := json.Marshal(answerTo(line))
			if failure != nil {
				panic(failure)
			}
			_, _ = out.Write(append(text, '\n'))
			_ = out.Flush()
		}
		if err != nil {
			return
		}
	}
}

func answerTo(line []byte) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a.Error = fmt.Sprint(r)
		}
	}()
	var j job
	must(json.Unmarshal(line, &j))
	a.Istio = compile(j)
	for _, f := range j.Ours.HTTP {
		a.Ours.HTTP = append(a.Ours.HTTP, rewrite(f, &hcm.HttpFilter{}))
	}
	for _, f := range j.Ours.TCP {
		a.Ours.TCP = append(a.Ours.TCP, rewrite(f, &listener.Filter{}))
	}
	return a
}

func compile(j job) filters {
	meshConfig := mesh.DefaultMeshConfig()
	if j.MeshConfig != "" {
		var err error
		meshConfig, err = mesh.ApplyMeshConfig(j.MeshConfig, meshConfig)
		must(err)
	}
	store := memory.MakeSkipValidation(collections.Pilot)
	configs, _, err := parseInputs(j.Policies, false)
	must(err)
	for _, c := range configs {
		_, err := store.Create(c)
		must(err)
	}
	env := &model.Environment{ConfigStore: store, Watcher: meshwatcher.NewTestWatcher(meshConfig)}
	push := &model.PushContext{Mesh: meshConfig, AuthzPolicies: model.GetAuthorizationPolicies(env)}
	push.AuthnPolicies = authenticationPolicies(env)
	push.JwtKeyResolver = model.NewJwksResolver(time.Hour, time.Hour, time.Hour, time.Second)
	push.ServiceIndex.HostnameAndNamespace = services(j.Hosts)
	node := &model.Proxy{
		ID: "differential", Type: roles[j.Role], ConfigNamespace: j.Namespace, Labels: j.Labels,
		Metadata: &model.NodeMetadata{Labels: j.Labels, Namespace: j.Namespace},
	}
	svc := targetOf(j.Service)
	selection := model.PolicyMatcherForProxy(node).WithService(svc).WithRootNamespace(push.AuthzPolicies.RootNamespace)
	policies := push.AuthzPolicies.ListAuthorizationPolicies(selection)
	domains := trustdomain.NewBundle(meshConfig.TrustDomain, meshConfig.TrustDomainAliases)

	// In the order of an inbound filter chain.
	var made filters
	if b := builder.New(domains, push, policies, builder.Option{IsCustomBuilder: true}); b != nil {
		made.HTTP = append(made.HTTP, written(b.BuildHTTP())...)
		made.TCP = append(made.TCP, written(b.BuildTCP())...)
	}
	if f := authn.NewPolicyApplier(push, node, svc).JwtFilter(j.Role != "sidecar"); f != nil {
		made.HTTP = append(made.HTTP, write(f))
	}
	if b := builder.New(domains, push, policies, builder.Option{}); b != nil {
		made.HTTP = append(made.HTTP, written(b.BuildHTTP())...)
		made.TCP = append(made.TCP, written(b.BuildTCP())...)
	}
	return made
}

var roles = map[string]model.NodeType{
	"sidecar":  model.SidecarProxy,
	"router":   model.Router,
	"waypoint": model.Waypoint,
}

func services(hosts []string) map[host.Name]map[string]*model.Service {
	index := map[host.Name]map[string]*model.Service{}
	for _, one := range hosts {
		namespace, text, _ := strings.Cut(one, "/")
		name := host.Name(text)
		if index[name] == nil {
			index[name] = map[string]*model.Service{}
		}
		index[name][namespace] = &model.Service{Hostname: name}
	}
	return index
}

func targetOf(s *service) *model.Service {
	if s == nil {
		return nil
	}
	registry := provider.Kubernetes
	if s.External {
		registry = provider.External
	}
	attributes := model.ServiceAttributes{Name: s.Name, Namespace: s.Namespace, ServiceRegistry: registry}
	return &model.Service{Attributes: attributes}
}

func written[M proto.Message](messages []M) []json.RawMessage {
	var all []json.RawMessage
	for _, m := range messages {
		all = append(all, write(m))
	}
	return all
}

func write(m proto.Message) json.RawMessage {
	text, err := protojson.Marshal(m)
	must(err)
	return text
}

// rewrite reads a filter as Envoy would and writes it as `write` does.
func rewrite(text json.RawMessage, m proto.Message) json.RawMessage {
	must(protojson.Unmarshal(text, m))
	return write(m)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
