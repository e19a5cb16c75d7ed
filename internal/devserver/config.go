package devserver

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/common/testing/freeport"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	clusterName = "active"
	storeName   = "sqlite"

	// retention is how long finished runs stay visible. A developer comes
	// back to a run after the weekend; Temporal's own dev server forgets it
	// after a day.
	retention = 7 * 24 * time.Hour
)

// dynamicConfig differs from a production server only where a laptop does.
// In particular the minimal interval between two runs of one workflow ID
// stays: code that is refused in production must be refused here.
func dynamicConfig() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// One process caches for all shards; production's 128,000 entries
		// would only grow it.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 8192,
		// The Web UI and tests list more often than 10 times a second.
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		// Nothing on a developer's machine calls home.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
}

func serverOptions(ctx context.Context, o Options, logger *logger) ([]temporal.ServerOption, error) {
	database, err := prepareDatabase(ctx, o)
	if err != nil {
		return nil, err
	}
	ports := map[primitives.ServiceName]int{
		primitives.FrontendService: o.Port,
		primitives.HistoryService:  freeport.MustGetFreePort(),
		primitives.MatchingService: freeport.MustGetFreePort(),
		primitives.WorkerService:   freeport.MustGetFreePort(),
	}
	cfg := serverConfig(o, database, ports)
	authorizer, err := authorization.GetAuthorizerFromConfig(&cfg.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("make authorizer: %w", err)
	}
	claims, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("make claim mapper: %w", err)
	}
	// The services know each other's addresses, so they need no gossip to
	// find each other, which takes seconds and ports.
	hosts := map[primitives.ServiceName]static.Hosts{}
	for service, port := range ports {
		hosts[service] = static.SingleLocalHost(address(port))
	}
	return []temporal.ServerOption{
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamicConfig()),
	}, nil
}

func serverConfig(o Options, database *config.SQL, ports map[primitives.ServiceName]int) *config.Config {
	services := map[string]config.Service{}
	for service, port := range ports {
		services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	// Without its HTTP API the frontend warns at every start.
	frontend := services[string(primitives.FrontendService)]
	frontend.RPC.HTTPPort = freeport.MustGetFreePort()
	services[string(primitives.FrontendService)] = frontend
	archivalOff := config.Archival{
		History:    config.HistoryArchival{State: "disabled"},
		Visibility: config.VisibilityArchival{State: "disabled"},
	}
	// No metrics and no profiles: they would need a port each.
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback},
		},
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{storeName: {SQL: database}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address(o.Port)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		Archival:            archivalOff,
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: address(o.Port)},
	}
}

// prepareDatabase makes the schema and the namespace before the server
// starts: a namespace that is registered later is seen only after the caches
// were refreshed, some seconds later.
func prepareDatabase(ctx context.Context, o Options) (*config.SQL, error) {
	database := &config.SQL{PluginName: sqliteplugin.PluginName}
	if o.DatabaseFile == "" {
		// A name of its own keeps several servers in one process apart.
		database.DatabaseName = uuid.NewString()
		database.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
	} else {
		file, err := filepath.Abs(o.DatabaseFile)
		if err != nil {
			return nil, err
		}
		if err := createSchema(ctx, file); err != nil {
			return nil, fmt.Errorf("create schema in %s: %w", file, err)
		}
		database.DatabaseName = (&url.URL{Path: file}).EscapedPath()
		// A write-ahead log that is synced at checkpoints survives a crash
		// of the process, costs no disk sync per transaction, and may lose
		// the last moments only when the machine itself goes down.
		database.ConnectAttributes = map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "normal"}
	}
	namespace, err := sqliteschema.NewNamespaceConfig(clusterName, o.Namespace, false, o.SearchAttributes)
	if err != nil {
		return nil, fmt.Errorf("describe namespace: %w", err)
	}
	namespace.Detail.Config.Retention = durationpb.New(retention)
	if err := sqliteschema.CreateNamespaces(database, namespace); err != nil {
		return nil, fmt.Errorf("create namespace: %w", err)
	}
	return database, nil
}
