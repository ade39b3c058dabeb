// Command probe tells from inside a pod what the network lets it do.
//
//	probe serve PORT      listen on PORT and answer each connection with "ok"
//	probe reach HOST:PORT exit 0 if a TCP connection opens within 2 s
//	probe resolve NAME    print the addresses of NAME
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

const patience = 2 * time.Second

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: probe serve PORT | reach HOST:PORT | resolve NAME"))
	}
	verbs := map[string]func(string) error{"serve": serve, "reach": reach, "resolve": resolve}
	verb, known := verbs[os.Args[1]]
	if !known {
		fail(fmt.Errorf("no such verb: %s", os.Args[1]))
	}
	if err := verb(os.Args[2]); err != nil {
		fail(err)
	}
}

func serve(port string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintln(connection, "ok")
		connection.Close()
	}
}

func reach(address string) error {
	connection, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	return connection.Close()
}

func resolve(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	for _, address := range addresses {
		fmt.Println(address)
	}
	return err
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(1)
}
