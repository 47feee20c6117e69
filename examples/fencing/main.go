// Command fencing charges an order under its lock and writes that into a SQL
// table which protects itself: a holder that was suspended for longer than its
// lease, and does not know that somebody else has the lock, is refused.
//
//	fencing -db shop.db -order 42
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "modernc.org/sqlite"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
)

func main() {
	file := flag.String("db", "shop.db", "file of the database")
	order := flag.String("order", "42", "order to charge")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file, *order, os.Stdin); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file, order string, answers io.Reader) error {
	nodes, stop, err := redisnodes.Open() // those of REDIS_NODES, or embedded ones
	if err != nil {
		return err
	}
	defer stop()
	locks, err := core.New(core.Config{Nodes: nodes, TTL: 2 * time.Second, Wait: time.Minute})
	if err != nil {
		return err
	}
	defer locks.Close()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS orders
		(id TEXT PRIMARY KEY, charges INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0)`); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO orders (id) VALUES (?) ON CONFLICT DO NOTHING`, order); err != nil {
		return err
	}
	return locks.Do(ctx, "order_"+order, func(ctx context.Context) error { return charge(ctx, db, order, answers) })
}

// charge reads how often the order was charged, has that confirmed, and writes
// one more.
func charge(ctx context.Context, db *sql.DB, order string, answers io.Reader) error {
	lock, _ := core.FromContext(ctx)
	token := int64(lock.FencingToken())
	// From here on no earlier holder of the lock can write, so that what is read
	// next stays true.
	err := fenced(db.ExecContext(ctx, `UPDATE orders SET token = ? WHERE id = ? AND token < ?`, token, order, token))
	if err != nil {
		return err
	}
	var charges int
	if err := db.QueryRowContext(ctx, `SELECT charges FROM orders WHERE id = ?`, order).Scan(&charges); err != nil {
		return err
	}
	fmt.Printf("order %s was charged %d times; press enter to charge it again\n", order, charges)
	if _, err := bufio.NewReader(answers).ReadString('\n'); err != nil {
		return err
	}
	// Whoever is suspended here, after the last look at its lock, writes in
	// good faith. No context ends that; the table does.
	err = fenced(db.ExecContext(context.WithoutCancel(ctx),
		`UPDATE orders SET charges = ? WHERE id = ? AND token = ?`, charges+1, order, token))
	if err != nil {
		return err
	}
	fmt.Printf("charged, with token %d\n", token)
	return nil
}

var errOutrun = errors.New("the table refuses the write: a later holder of the lock was here")

// fenced is the error of a write that a later token keeps from happening.
func fenced(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if rows, err := result.RowsAffected(); err != nil || rows > 0 {
		return err
	}
	return errOutrun
}
