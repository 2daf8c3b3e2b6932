package main

import (
	_ "unsafe" // for go:linkname

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config"
)

// Two functions that istiod calls and does not export. The linker wants an assembly file beside them.

//go:linkname authenticationPolicies istio.io/istio/pilot/pkg/model.initAuthenticationPolicies
func authenticationPolicies(env *model.Environment) *model.AuthenticationPolicies

//go:linkname parseInputs istio.io/istio/pilot/pkg/config/kube/crd.parseInputsImpl
func parseInputs(inputs string, withValidate bool) ([]config.Config, []crd.IstioKind, error)
