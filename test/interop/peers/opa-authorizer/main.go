// An external authorization server that decides with OPA's Go library behind grpc-go, which is what the OPA-Envoy plugin
// is made of: the input document has the attributes as protobuf's JSON, the path and the query taken apart, and the body.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type server struct {
	authv3.UnimplementedAuthorizationServer
	query rego.PreparedEvalQuery
}

func (s server) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	input, err := inputOf(request)
	if err != nil {
		return nil, status.Error(codes.Internal, "no input")
	}
	results, err := s.query.Eval(ctx, rego.EvalParsedInput(input))
	if err != nil || len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, status.Error(codes.Internal, "no result")
	}
	if allowed, ok := results[0].Expressions[0].Value.(bool); ok {
		return answer(allowed), nil
	}
	return nil, status.Error(codes.Internal, "the result is no boolean")
}

func inputOf(request *authv3.CheckRequest) (ast.Value, error) {
	text, err := protojson.Marshal(request)
	if err != nil {
		return nil, err
	}
	var input map[string]any
	if err := json.Unmarshal(text, &input); err != nil {
		return nil, err
	}
	path, query, err := parsed(request.GetAttributes().GetRequest().GetHttp().GetPath())
	if err != nil {
		return nil, err
	}
	input["parsed_path"] = path
	input["parsed_query"] = query
	input["parsed_body"] = nil
	input["truncated_body"] = false
	input["version"] = map[string]any{"ext_authz": "v3", "encoding": "protojson"}
	return ast.InterfaceToValue(input)
}

func parsed(target string) ([]any, map[string]any, error) {
	location, err := url.Parse(target)
	if err != nil {
		return nil, nil, err
	}
	parts := []any{}
	for _, part := range strings.Split(strings.TrimLeft(location.Path, "/"), "/") {
		parts = append(parts, part)
	}
	query := map[string]any{}
	for name, values := range location.Query() {
		list := []any{}
		for _, value := range values {
			list = append(list, value)
		}
		query[name] = list
	}
	return parts, query, nil
}

func answer(allowed bool) *authv3.CheckResponse {
	if allowed {
		return &authv3.CheckResponse{
			Status:       &rpcstatus.Status{Code: int32(codes.OK)},
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
		}
	}
	return &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden},
			Headers: []*corev3.HeaderValueOption{{
				Header: &corev3.HeaderValue{Key: "x-decided-by", Value: "opa"},
				Append: wrapperspb.Bool(false),
			}},
		}},
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "host:port")
	policy := flag.String("policy", "", "a .rego file")
	entry := flag.String("query", "data.envoy.authz.allow", "what decides")
	flag.Parse()
	query, err := rego.New(rego.Query(*entry), rego.Load([]string{*policy}, nil)).PrepareForEval(context.Background())
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fail(err)
	}
	grpcServer := grpc.NewServer()
	authv3.RegisterAuthorizationServer(grpcServer, server{query: query})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		grpcServer.GracefulStop()
	}()
	// The one line on standard output: where it listens.
	fmt.Println(listener.Addr())
	if err := grpcServer.Serve(listener); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
