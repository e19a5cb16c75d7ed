//go:build unix

package integration_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// lossyProxy stands between the ingress and Temporal. It passes every call on,
// and can lose the answers to starts of workflows that have taken place.
type lossyProxy struct {
	to       *grpc.ClientConn
	HostPort string

	mu    sync.Mutex
	conns map[string]net.Conn // by the caller's address
	lose  int                 // answers still to be lost
	lost  int
}

func startLossyProxy(t *testing.T, temporal string) *lossyProxy {
	t.Helper()
	to, err := grpc.NewClient(temporal, grpc.WithTransportCredentials(insecure.NewCredentials()),
		// Temporal goes away and comes back: by default the pauses grow to two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, MaxDelay: 500 * time.Millisecond}}))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &lossyProxy{to: to, HostPort: listener.Addr().String(), conns: map[string]net.Conn{}}
	server := grpc.NewServer(grpc.ForceServerCodecV2(verbatim{}), grpc.UnknownServiceHandler(p.pass),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true})) // as Temporal does
	go func() { _ = server.Serve(&notedListener{Listener: listener, proxy: p}) }() // it ends with Stop
	t.Cleanup(func() {
		server.Stop()
		_ = to.Close()
	})
	return p
}

// loseNext loses the answers to the next n starts, besides those still to be lost.
func (p *lossyProxy) loseNext(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose += n
}

// stop loses no more, and returns how many answers were lost.
func (p *lossyProxy) stop() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = 0
	return p.lost
}

// pass does one call. All of Temporal's have one request and one answer.
func (p *lossyProxy) pass(_ any, stream grpc.ServerStream) error {
	ctx := stream.Context()
	method, _ := grpc.MethodFromServerStream(stream)
	var request, answer []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, md)
	}
	if err := p.to.Invoke(ctx, method, &request, &answer, grpc.ForceCodecV2(verbatim{})); err != nil {
		return err
	}
	if method == workflowservice.WorkflowService_StartWorkflowExecution_FullMethodName {
		if nth := p.loses(); nth > 0 {
			return p.loseAnswer(ctx, nth)
		}
	}
	return stream.SendMsg(&answer)
}

// loses reports which lost answer this one is, 0 when it is not.
func (p *lossyProxy) loses() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == 0 {
		return 0
	}
	p.lose--
	p.lost++
	return p.lost
}

// loseAnswer cuts the caller's connection, or lets the caller wait until it gives
// up: the client's own retries get over the one and not over the other.
func (p *lossyProxy) loseAnswer(ctx context.Context, nth int) error {
	if nth%2 == 0 {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	if caller, ok := peer.FromContext(ctx); ok {
		p.mu.Lock()
		conn := p.conns[caller.Addr.String()]
		p.mu.Unlock()
		if conn != nil {
			_ = conn.Close()
		}
	}
	return status.Error(codes.Unavailable, "the connection was cut")
}

// notedListener notes the connections, for them to be cut.
type notedListener struct {
	net.Listener
	proxy *lossyProxy
}

func (l *notedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.proxy.conns[conn.RemoteAddr().String()] = conn
	return conn, nil
}

// verbatim hands messages on as they are.
type verbatim struct{}

var _ encoding.CodecV2 = verbatim{}

var errNotBytes = errors.New("want *[]byte")

func (verbatim) Name() string { return "proto" }

func (verbatim) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, errNotBytes
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

func (verbatim) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return errNotBytes
	}
	*b = data.Materialize()
	return nil
}
