#!/bin/bash
# Why candidates failed is in the database, what prints it and the report; and a database of the
# version before, which has none of that, is read and brought up to date: reasons.sh PROGRAM (build/hako-faults)
program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 3
fail() { echo "FAIL reasons of failures: $1"; cat out.txt; exit 1; }
echo 'kernel product(a: f32[M, K], b: f32[K, N]) -> (c: f32[M, N]) {
    tile m in M, n in N { axis k in K; c[m, n] = sum[k](a[m, k] * b[k, n]); } }' >k.hk
tune() { HAKO_TUNE_FAULT=$1,times:1 "$program" tune k.hk --shapes M=33,N=40,K=50 --budget 20s --search random --candidates 60 --db t.db "${@:2}" >out.txt 2>&1; }
tune crash:20,abort:20,wrong:20 --report r.html --log l.jsonl || fail "exit code $?"
"$program" db show --db t.db >out.txt
for reason in SIGSEGV SIGABRT 'times what is allowed'; do grep -q "$reason" out.txt || fail "$reason is not shown"; done
grep -q '<td>SIGSEGV</td>' r.html && grep -q '"reason":"SIGABRT"' l.jsonl || fail "report and log"
"$program" db ls --db t.db >out.txt
grep -qE '[1-9][0-9]* failed, most often (crash|wrong): ' out.txt || fail "ls"
"$program" db export -o rows --db t.db && "$program" db import rows --db u.db >out.txt && "$program" db export -o again --db u.db
cmp rows again || fail "what was exported and imported differs"

/usr/bin/python3 - <<'END' || exit 3
import sqlite3
d = sqlite3.connect("t.db")
d.execute("ALTER TABLE eval DROP COLUMN reason")
d.execute("PRAGMA user_version = 1")
d.commit()
END
"$program" db show --db t.db >out.txt 2>&1 && grep -q crash out.txt && ! grep -q SIGSEGV out.txt || fail "reading version 1"
"$program" db ls --db t.db >out.txt 2>&1 || fail "listing version 1"
tune crash:30 --seed 3 || fail "writing version 1"
"$program" db show --db t.db >out.txt && grep -q SIGSEGV out.txt || fail "version 1 brought up to date"
echo "reasons of failures: ok"
