package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/pkg/options"
	"github.com/spf13/cobra"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const pendingHeartbeats = 10

// newRouterCommand is kube-router without its router and its service proxy: NetworkPolicies are all that it is for
// here. What it leaves out brings BGP and a cloud's SDK, which take longer to build than all the rest.
func newRouterCommand() *cobra.Command {
	config := options.NewKubeRouterConfig()
	command := &cobra.Command{
		Use:          "kube-router",
		Short:        "Enforces NetworkPolicies on this node",
		SilenceUsage: true,
		RunE:         func(*cobra.Command, []string) error { return enforcePolicies(config) },
	}
	config.AddFlags(command.Flags())
	return command
}

func enforcePolicies(config *options.KubeRouterConfig) error {
	if config.RunRouter || config.RunServiceProxy || !config.RunFirewall {
		return errors.New("only the firewall is built in: --run-router=false --run-service-proxy=false")
	}
	if err := logVerbosity(config.VLevel); err != nil {
		return err
	}
	restConfig, err := clientcmd.BuildConfigFromFlags(config.Master, config.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	if err := start(client, config, stop, &running); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	close(stop)
	running.Wait()
	return nil
}

// start does what kube-router's own command does for the firewall, in the same order.
func start(client kubernetes.Interface, config *options.KubeRouterConfig, stop chan struct{}, running *sync.WaitGroup) error {
	heartbeats := make(chan *healthcheck.ControllerHeartbeat, pendingHeartbeats)
	health, err := healthcheck.NewHealthController(config)
	if err != nil {
		return fmt.Errorf("making the health controller: %w", err)
	}
	running.Add(1)
	go health.RunServer(stop, running)

	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(stop)
	for kind, synced := range factory.WaitForCacheSync(stop) {
		if !synced {
			return fmt.Errorf("the cache of %v was not filled", kind)
		}
	}
	health.SetAlive()
	running.Add(1)
	go health.RunCheck(heartbeats, stop, running)

	controller, err := netpol.NewNetworkPolicyController(client, config, pods, policies, namespaces, &sync.Mutex{})
	if err != nil {
		return fmt.Errorf("making the network policy controller: %w", err)
	}
	handlers := []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{pods, controller.PodEventHandler},
		{namespaces, controller.NamespaceEventHandler},
		{policies, controller.NetworkPolicyEventHandler},
	}
	for _, each := range handlers {
		if _, err := each.informer.AddEventHandler(each.handler); err != nil {
			return fmt.Errorf("watching: %w", err)
		}
	}
	running.Add(1)
	go controller.Run(heartbeats, stop, running)
	return nil
}

func logVerbosity(level string) error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	if err := flags.Set("logtostderr", "true"); err != nil {
		return err
	}
	return flags.Set("v", level)
}
