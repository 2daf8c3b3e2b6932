// An external authorization server on grpc-go and go-control-plane's types: a second opinion on the protocol. What it
// answers is up to the checked request's header x-decide; without that it denies.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type server struct {
	authv3.UnimplementedAuthorizationServer
}

func (server) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	switch request.GetAttributes().GetRequest().GetHttp().GetHeaders()["x-decide"] {
	case "allow":
		return &authv3.CheckResponse{Status: &rpcstatus.Status{Code: int32(codes.OK)}}, nil
	case "empty":
		return &authv3.CheckResponse{}, nil
	case "rewrite":
		return rewrite(request), nil
	case "dump":
		return dump(ctx, request)
	case "error":
		return &authv3.CheckResponse{
			Status: &rpcstatus.Status{Code: int32(codes.Unavailable)},
			HttpResponse: &authv3.CheckResponse_ErrorResponse{ErrorResponse: &authv3.DeniedHttpResponse{
				Status: &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
				Body:   "the directory is down",
			}},
		}, nil
	case "rpc":
		return nil, status.Error(codes.PermissionDenied, "not you")
	case "hang":
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return deny(typev3.StatusCode_Unauthorized, "who are you?"), nil
	}
}

func header(key, value string, appends bool) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header: &corev3.HeaderValue{Key: key, Value: value},
		Append: wrapperspb.Bool(appends),
	}
}

func rewrite(request *authv3.CheckRequest) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: []*corev3.HeaderValueOption{
				header("x-user", request.GetAttributes().GetSource().GetPrincipal(), false),
				header("x-list", "theirs", true),
			},
			HeadersToRemove:      []string{"x-secret"},
			ResponseHeadersToAdd: []*corev3.HeaderValueOption{header("x-checked", "go", false)},
			QueryParametersToSet: []*corev3.QueryParameter{{Key: "tenant", Value: "a%20b"}},
			QueryParametersToRemove: []string{
				"debug",
			},
		}},
	}
}

func deny(code typev3.StatusCode, body string) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: int32(codes.Unauthenticated)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: code},
			Headers: []*corev3.HeaderValueOption{header("set-cookie", "a=1", false), header("set-cookie", "b=2", false)},
			Body:    body,
		}},
	}
}

// dump denies with what it was asked, as JSON, so that a test sees it through a decoder that is not ours.
func dump(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	message, err := protojson.Marshal(request)
	if err != nil {
		return nil, err
	}
	call, _ := metadata.FromIncomingContext(ctx)
	body, err := json.Marshal(map[string]any{"request": json.RawMessage(message), "metadata": call})
	if err != nil {
		return nil, err
	}
	return deny(typev3.StatusCode_Forbidden, string(body)), nil
}

// call asks another server, over one connection and so many times at once, and prints how often it answered what.
func call(address string, count int) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := authv3.NewAuthorizationClient(connection)
	answers := make(chan string, count)
	for i := 0; i < count; i++ {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			// Large ones too, so that windows matter.
			headers := map[string]string{"x-number": fmt.Sprint(i), "x-padding": strings.Repeat("x", i%7*20_000)}
			response, err := client.Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
				Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
					Method: "GET", Path: fmt.Sprintf("/%d", i%3), Host: "go", Headers: headers,
				}},
			}})
			switch {
			case err != nil:
				answers <- status.Code(err).String()
			case response.GetStatus().GetCode() == 0:
				answers <- "allowed"
			default:
				answers <- fmt.Sprint(response.GetDeniedResponse().GetStatus().GetCode().Number())
			}
		}()
	}
	counts := map[string]int{}
	for i := 0; i < count; i++ {
		counts[<-answers]++
	}
	return json.NewEncoder(os.Stdout).Encode(counts)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "host:port")
	asked := flag.String("call", "", "host:port of a server to ask, instead of being one")
	count := flag.Int("n", 1000, "how often to ask it, at once")
	flag.Parse()
	if *asked != "" {
		if err := call(*asked, *count); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	grpcServer := grpc.NewServer()
	authv3.RegisterAuthorizationServer(grpcServer, server{})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		grpcServer.GracefulStop()
	}()
	// The one line on standard output: where it listens.
	fmt.Println(listener.Addr())
	if err := grpcServer.Serve(listener); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
