package store

import (
	"context"
	"errors"
	"sync"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// prepared keeps one statement ready in Postgres. While little comes in, parsing
// and planning the INSERT is most of what a sender waits for besides the disk.
//
// A pooler between us and Postgres may hand each statement to another server
// connection, where it is not known, or where its name, which lib/pq counts, is
// somebody else's. Because there is only one in the program, it can only be the
// same one; and because a pooler of that kind is not going to change, it is
// given up when it is missed once.
type prepared struct {
	mu        sync.Mutex
	statement *sqlx.Stmt
	givenUp   bool
}

// run runs the statement, always the same one, and reports whether it could.
func (p *prepared) run(ctx context.Context, db *sqlx.DB, dest any, text string, args []any) (done bool, err error) {
	statement, err := p.get(ctx, db, text) //nolint:sqlclosecheck // it is kept until the pool is closed
	if statement == nil || err != nil {
		return err != nil, err
	}
	err = statement.SelectContext(ctx, dest, args...)
	if isStatementLost(err) {
		p.giveUp()
		return false, nil
	}
	return true, err
}

func (p *prepared) get(ctx context.Context, db *sqlx.DB, text string) (*sqlx.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.givenUp {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	if p.statement == nil {
		statement, err := db.PreparexContext(ctx, text)
		if isStatementLost(err) {
			p.givenUp = true
			return nil, nil //nolint:nilnil // as above
		}
		if err != nil {
			return nil, err
		}
		p.statement = statement
	}
	return p.statement, nil
}

func (p *prepared) giveUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.givenUp = true
}

// isStatementLost reports whether the connection does not keep what was prepared
// for it. Nothing has been run then.
func isStatementLost(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code == pqerror.InvalidSQLStatementName || e.Code == pqerror.DuplicatePstatement)
}
