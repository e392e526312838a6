/* Grammar of .hk files; what the nodes are made of stands in nodes.def. Operators bind as in C, but & ^ |
 * bind tighter than comparisons, and comparisons do not chain. Inside <...> an expression ends before
 * comparisons, so those need parentheses there.
 *
 * Words with a meaning in one place only are names everywhere else: the scanner calls them ID, and
 * repair.c makes them WHERE, REVERSE ... where the grammar has such a token and no name could stand.
 * Where a name could stand too (serial for, partial y), the action looks at the name.
 *
 * Errors: a statement that went wrong becomes a node ERROR, up to its ';' or behind its block, and the
 * names that it declares stay known; so does an item. parse_source, at the end, drives the parser token
 * by token and mends the commonest slips itself, so that one slip gives one message.
 */
%code requires {
#include "frontend/syntax.h"
}

%code provides {
int hkyylex(HKYYSTYPE *value, HKYYLTYPE *where, void *scanner);
}

%define api.prefix {hkyy}
%define api.pure full
%define api.push-pull push
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%parse-param { Parser *parser }

%code {
#define ARENA (parser->arena)
#define TREE(kind, ...) ast_tree(ARENA, NODE_##kind, __VA_ARGS__)
#define NAMED(kind, ...) ast_named(ARENA, NODE_##kind, __VA_ARGS__)
#define NAME(span, text) ast_name(ARENA, span, text)
#define NAMES(span, text) ast_names(ARENA, span, text)
#define EXTEND(list, span, kid) ast_extend(ARENA, list, span, kid)
#define ADD(node, kid) ast_add(ARENA, node, kid)
#define BROKEN(span) ast_node(ARENA, NODE_ERROR, span)
#define YYLLOC_DEFAULT(now, rhs, n) \
    ((now) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) : syntax_after(YYRHSLOC(rhs, 0)))

static void yyerror(const YYLTYPE *where, Parser *parser, const char *text);

// Nothing was written: the empty place behind the last token.
static Span syntax_after(Span span)
{
    return (Span){span.end_line, span.end_line, span.end_column, span.end_column, span.source};
}

static Node *binary(Parser *parser, BinaryOp op, Node *a, Node *b)
{
    Node *node = ast_tree(parser->arena, NODE_BINARY, span_join(a->span, b->span), 2, a, b);
    node->op = op;
    return node;
}

static Node *unary(Parser *parser, uint32_t op, Span span, Node *a)
{
    Node *node = ast_tree(parser->arena, NODE_UNARY, span, 1, a);
    node->op = op;
    return node;
}
}

%token KERNEL "'kernel'" FN "'fn'" IMPORT "'import'" TUNE "'tune'" SHAPES "'shapes'" CONFIG "'config'"
%token TEST "'test'" TILE "'tile'" AXIS "'axis'" FOR "'for'" IN "'in'" BY "'by'" WHILE "'while'" IF "'if'"
%token ELSE "'else'" LET "'let'" VAR "'var'" BUF "'buf'" RETURN "'return'" REQUIRE "'require'"
%token ATOMIC "'atomic'" UNORDERED "'unordered'" INOUT "'inout'" TRUE "'true'" FALSE "'false'"
%token FOLD "'fold'" ARROW "'->'" GIVES "'=>'" DOTS "'..'" OROR "'||'" ANDAND "'&&'" EQ "'=='" NE "'!='"
%token LE "'<='" GE "'>='" SHL "'<<'" SHR "'>>'"
%token WHERE "'where'" REVERSE "'reverse'" PACKED "'packed'" ON "'on'" WHEN "'when'" WITHIN "'within'"
%token BOUND "'bound'" CAS "'cas'"
%token <text> PARTITION "'partition'" PERMUTATION "'permutation'" DISTINCT "'distinct'" MAX "'max='" MIN "'min='"
%token <text> ID "a name" EXPECT "'expect'" INT "an integer" FLOAT "a number" SHAPE "a shape"
%token <text> STRING "a string" OPASSIGN "an assignment operator"
%token END 0 "the end of the file"

%union {
    Str text;
    uint32_t op;
    Node *node;
}

%type <text> name refinement
%type <node> source file item names names_opt import constant kernel sizes size_list body instance_outs
%type <node> templates template_list template constraint classes template_args template_arg_list
%type <node> template_arg template_value params_opt params param refine results type type_name dims
%type <node> dim_list dim init function function_body tune tune_set shapes config config_on
%type <node> config_when rows settings setting test test_items test_item test_shape within block
%type <node> statements statement keyword_statement if assign atomic axes axis binds bind bound range exprs expr
%type <node> choice oror andand compare bitor bitxor bitand shift sum product unary postfix primary
%type <node> args_opt args arg
%type <op> optional reverse

%start source

%%

source:    file ;
file:      %empty                               { $$ = parser->file = TREE(FILE, @$, 0); }
         | file item                            { $$ = $1; ADD($$, $2); }
         | file error                           { $$ = $1; ADD($$, BROKEN(@2)); }
         | file error ';'                       { yyerrok; $$ = $1; ADD($$, BROKEN(@2)); }
         | file error block                     { yyerrok; $$ = $1; ADD($$, BROKEN(@2)); } ;
item:      import | constant | kernel | function | tune | shapes | config | test ;

name:      ID | EXPECT ;
names:     name                                 { $$ = TREE(NAMES, @$, 1, NAME(@1, $1)); }
         | names ',' name                       { $$ = EXTEND($1, @$, NAME(@3, $3)); } ;
names_opt: %empty                               { $$ = TREE(NAMES, @$, 0); }
         | names ;

import:    IMPORT name ';'                      { $$ = NAMED(IMPORT, @$, @2, $2, 0); }
         | IMPORT STRING ';' {
               $$ = NAMED(IMPORT, @$, @2, syntax_string(parser, @2, $2), 0);
               $$->flags = NODE_FLAG_QUOTED;
           }
         | IMPORT error ';'                     { yyerrok; $$ = BROKEN(@$); } ;
constant:  LET name '=' expr ';'                { $$ = NAMED(CONSTANT, @$, @2, $2, 1, $4); }
         | LET name error ';' {
               yyerrok;
               $$ = NAMED(CONSTANT, @$, @2, $2, 1, BROKEN(@3));
           } ;

/* ---- kernels and functions */

kernel:    KERNEL name templates '(' params_opt ')' results sizes body
 {
               $$ = NAMED(KERNEL, @$, @2, $2, 5, $3, $5, $7, $8, $9);
           }
         | KERNEL error ';'                     { yyerrok; $$ = BROKEN(@$); }
         | KERNEL error block                   { yyerrok; $$ = BROKEN(@$); } ;
sizes:     %empty                               { $$ = NULL; }
         | WHERE size_list                      { $$ = $2; } ;
size_list: name '=' expr {
               $$ = TREE(WHERE, @$, 1, NAMED(SETTING, @$, @1, $1, 1, $3));
           }
         | size_list ',' name '=' expr {
               $$ = EXTEND($1, @$, NAMED(SETTING, span_join(@3, @5), @3, $3, 1, $5));
           } ;
body:      block
         | '=' name template_args '(' args_opt ')' instance_outs ';'
 {
               $$ = NAMED(INSTANCE, @$, @2, $2, 3, $3, $5, $7);
           } ;
instance_outs: %empty                           { $$ = NULL; }
         | ARROW '(' names ')'                  { $$ = $3; } ;

templates: %empty                               { $$ = NULL; }
         | '<' template_list '>'                { $$ = ast_spread($2, @$); } ;
template_list: template                         { $$ = TREE(TEMPLATES, @$, 1, $1); }
         | template_list ',' template           { $$ = EXTEND($1, @$, $3); } ;
template:  name ':' constraint                  { $$ = NAMED(TEMPLATE, @$, @1, $1, 2, $3, NULL); }
         | name ':' constraint '=' template_value
                                                { $$ = NAMED(TEMPLATE, @$, @1, $1, 2, $3, $5); } ;
constraint: FN                                  { $$ = TREE(FNTYPE, @$, 0); }
         | classes ;
classes:   name                                 { $$ = TREE(CLASSES, @$, 1, NAME(@1, $1)); }
         | classes '|' name                     { $$ = EXTEND($1, @$, NAME(@3, $3)); } ;

template_args: %empty                           { $$ = NULL; }
         | '<' template_arg_list '>'            { $$ = ast_spread($2, @$); } ;
template_arg_list: template_arg                 { $$ = TREE(TEMPLATE_ARGS, @$, 1, $1); }
         | template_arg_list ',' template_arg   { $$ = EXTEND($1, @$, $3); } ;
template_arg: template_value
         | name '=' template_value              { $$ = NAMED(SETTING, @$, @1, $1, 1, $3); } ;
template_value: bitor
         | FN '(' names_opt ')' GIVES bitor     { $$ = TREE(LAMBDA, @$, 2, $3, $6); } ;

params_opt: %empty                              { $$ = TREE(PARAMS, @$, 0); }
         | params ;
params:    param                                { $$ = TREE(PARAMS, @$, 1, $1); }
         | params ',' param                     { $$ = EXTEND($1, @$, $3); } ;
param:     name ':' type refine init            { $$ = NAMED(PARAM, @$, @1, $1, 3, $3, $4, $5); }
         | INOUT name ':' type refine init {
               $$ = NAMED(PARAM, @$, @2, $2, 3, $4, $5, $6);
               $$->flags = NODE_FLAG_INOUT;
           }
         | name name ':' type refine init       {
               $$ = NAMED(PARAM, @$, @2, $2, 3, $4, $5, $6);
               $$->flags = NODE_FLAG_PARTIAL;
               syntax_word(parser, @1, $1, "partial");
           } ;
refine:    %empty                               { $$ = NULL; }
         | IN expr DOTS expr {
               $$ = NAMED(REFINE, @$, @1, STR("in"), 2, $2, $4);
           }
         | refinement expr                      { $$ = NAMED(REFINE, @$, @1, $1, 1, $2); } ;
refinement: PARTITION | PERMUTATION | DISTINCT ;
results:   %empty                               { $$ = NULL; }
         | ARROW '(' ')'                        { $$ = NULL; }
         | ARROW '(' params ')' {
               $$ = ast_spread($3, @$);
               $$->kind = NODE_RESULTS;
           } ;
type:      type_name dims optional              {
               $$ = ast_spread($1, @$);
               if ($2) $$->flags |= NODE_FLAG_HAS_DIMS;
               if ($3) $$->flags |= NODE_FLAG_OPTIONAL;
               ADD($$, $2);
           } ;
type_name: name                                 { $$ = NAMED(TYPE, @$, @1, $1, 1, NULL); }
         | name '(' names ')' {
               $3->kind = NODE_ARGS;
               $$ = NAMED(TYPE, @$, @1, $1, 1, $3);
           } ;
dims:      %empty                               { $$ = NULL; }
         | '[' ']'                              { $$ = TREE(DIMS, @$, 0); }
         | '[' dim_list ']'                     { $$ = ast_spread($2, @$); } ;
dim_list:  dim                                  { $$ = TREE(DIMS, @$, 1, $1); }
         | dim_list ',' dim                     { $$ = EXTEND($1, @$, $3); } ;
dim:       expr
         | expr PACKED {
               $$ = NAMED(PACKED, @$, @2, STR("packed"), 1, $1);
           }
         | DOTS name                            { $$ = NAMED(PACK, @$, @2, $2, 0); } ;
optional:  %empty                               { $$ = 0; }
         | '?'                                  { $$ = 1; } ;
init:      %empty                               { $$ = NULL; }
         | '=' expr                             { $$ = $2; } ;

function:  FN name '(' names_opt ')' function_body
 {
               $$ = NAMED(FUNCTION, @$, @2, $2, 3, NULL, $4, $6);
           }
         | FN name '[' names ']' '(' names_opt ')' function_body
                                                { $$ = NAMED(FUNCTION, @$, @2, $2, 3, $4, $7, $9); }
         | FN error ';'                         { yyerrok; $$ = BROKEN(@$); }
         | FN error block                       { yyerrok; $$ = BROKEN(@$); } ;
function_body: '=' expr ';'                     { $$ = $2; }
         | block ;

/* ---- tuning and tests */

tune:      TUNE name IN tune_set init ';'       { $$ = NAMED(TUNE, @$, @2, $2, 2, $4, $5); }
         | TUNE error ';'                       { yyerrok; $$ = BROKEN(@$); } ;
tune_set:  range                                { $$ = ast_plain_range($1); }
         | '{' exprs '}'                        { $$ = ast_spread(ast_list($2, NODE_SET), @$); } ;

shapes:    SHAPES names '{' rows '}' {
               ast_insert(ARENA, $4, $2);
               $$ = ast_spread($4, @$);
               $$->kind = NODE_SHAPES;
           }
         | SHAPES error '{' rows '}'            { $$ = BROKEN(@$); } ;
config:    CONFIG name config_on config_when '{' rows '}'
                                                {
               ast_insert(ARENA, $6, $4);
               ast_insert(ARENA, $6, $3);
               $$ = ast_spread($6, @$);
               $$->kind = NODE_CONFIG;
               $$->text = $2;
               $$->text_span = @2;
           }
         | CONFIG error '{' rows '}'            { $$ = BROKEN(@$); } ;
config_on: %empty                               { $$ = NULL; }
         | ON STRING {
               $$ = NAMED(STRING, @2, @2, syntax_string(parser, @2, $2), 0);
           } ;
config_when: %empty                             { $$ = NULL; }
         | WHEN expr                            { $$ = $2; } ;
rows:      %empty                               { $$ = TREE(SHAPES, @$, 0); }
         | rows settings ';' {
               $$ = $1;
               ADD($$, ast_spread($2, span_join(@2, @3)));
           }
         | rows TEST settings ';' {
               $$ = $1;
               $3->flags = NODE_FLAG_TEST;
               ADD($$, ast_spread($3, span_join(@2, @4)));
           }
         | rows error ';'                       { yyerrok; $$ = $1; } ;
settings:  setting                              { $$ = TREE(ROW, @$, 1, $1); }
         | settings ',' setting                 { $$ = EXTEND($1, @$, $3); } ;
setting:   name '=' expr                        { $$ = NAMED(SETTING, @$, @1, $1, 1, $3); }
         | name '=' SHAPE                       {
               $$ = NAMED(SETTING, @$, @1, $1, 1, NAMED(SHAPE, @3, @3, $3, 0));
           } ;

test:      TEST name template_args '{' test_items '}'
                                                {
               ast_insert(ARENA, $5, $3);
               $$ = ast_spread($5, @$);
               $$->text = $2;
               $$->text_span = @2;
           }
         | TEST error '{' test_items '}'        { $$ = BROKEN(@$); } ;
test_items: %empty                              { $$ = TREE(TEST, @$, 0); }
         | test_items test_item ';'             { $$ = $1; ADD($$, $2); }
         | test_items error ';'                 { yyerrok; $$ = $1; } ;
test_item: name ':' test_shape init             { $$ = NAMED(TEST_TENSOR, @$, @1, $1, 2, $3, $4); }
         | name '=' expr                        { $$ = NAMED(SETTING, @$, @1, $1, 1, $3); }
         | EXPECT name '=' expr within          { $$ = NAMED(EXPECT, @$, @2, $2, 2, $4, $5); } ;
test_shape: SHAPE                               { $$ = NAMED(SHAPE, @$, @1, $1, 0); }
         | INT {
               $$ = NAMED(INT, @$, @1, $1, 0);
               $$->integer = syntax_integer(parser, @1, $1);
           }
         | type ;
within:    %empty                               { $$ = NULL; }
         | WITHIN expr                          { $$ = $2; } ;

/* ---- statements */

block:     '{' statements '}'                   { $$ = ast_spread($2, @$); }
         | '{' statements error '}'             { yyerrok; $$ = ast_spread($2, @$); } ;
statements: %empty                              { $$ = TREE(BLOCK, @$, 0); }
         | statements statement                 { $$ = $1; ADD($$, $2); }
         | statements error ';'                 { yyerrok; $$ = $1; ADD($$, BROKEN(@2)); }
         | statements error block               { yyerrok; $$ = $1; ADD($$, BROKEN(@2)); }
         | statements error keyword_statement {
               yyerrok;
               $$ = $1;
               ADD($$, BROKEN(@2));
               ADD($$, $3);
           } ;

statement: keyword_statement
         | postfix ARROW '(' names ')' ';'      { $$ = syntax_call_kernel(parser, @$, $1, $4); }
         | name '<' template_arg_list '>' '(' args_opt ')' ARROW '(' names ')' ';'
 {
               $$ = NAMED(CALL_KERNEL, @$, @1, $1, 3, ast_spread($3, span_join(@2, @4)), $6, $10);
           }
         | name FOR bind block                  {
               $$ = TREE(FOR, @$, 2, $3, $4);
               $$->flags = NODE_FLAG_SERIAL;
               syntax_word(parser, @1, $1, "serial");
           }
         | assign ';'                           { $$ = ast_spread($1, @$); }
         | postfix ';'                          { $$ = syntax_statement(parser, @$, $1); } ;

keyword_statement:
           LET name '=' expr ';'                { $$ = TREE(LET, @$, 2, NAMES(@2, $2), $4); }
         | LET '(' names ')' '=' expr ';'       { $$ = TREE(LET, @$, 2, $3, $6); }
         | LET name '=' atomic ';'              { $$ = TREE(LET, @$, 2, NAMES(@2, $2), $4); }
         | LET name error ';' {
               yyerrok;
               $$ = TREE(LET, @$, 2, NAMES(@2, $2), BROKEN(@3));
           }
         | LET '(' names ')' error ';'          { yyerrok; $$ = TREE(LET, @$, 2, $3, BROKEN(@5)); }
         | VAR name '=' expr ';'                { $$ = NAMED(VAR, @$, @2, $2, 2, NULL, $4); }
         | VAR name ':' type '=' expr ';'       { $$ = NAMED(VAR, @$, @2, $2, 2, $4, $6); }
         | VAR name error ';' {
               yyerrok;
               $$ = NAMED(VAR, @$, @2, $2, 2, NULL, BROKEN(@3));
           }
         | BUF name ':' type init ';'           { $$ = NAMED(BUF, @$, @2, $2, 2, $4, $5); }
         | BUF name error ';' {
               yyerrok;
               $$ = TREE(LET, @$, 2, NAMES(@2, $2), BROKEN(@3));
           }
         | AXIS axes ';'                        { $$ = ast_spread($2, @$); }
         | FOLD assign ';' {
               $$ = ast_spread($2, @$);
               $$->flags |= NODE_FLAG_FOLD;
           }
         | TILE binds block {
               $$ = ast_list($2, NODE_TILE);
               $$ = EXTEND($$, @$, $3);
           }
         | FOR binds block {
               $$ = ast_list($2, NODE_FOR);
               $$ = EXTEND($$, @$, $3);
           }
         | WHILE expr BOUND expr block          { $$ = TREE(WHILE, @$, 3, $2, $4, $5); }
         | if
         | RETURN expr ';'                      { $$ = TREE(RETURN, @$, 1, $2); }
         | REQUIRE expr ';'                     { $$ = TREE(REQUIRE, @$, 2, $2, NULL); }
         | REQUIRE expr ',' STRING ';' {
               $$ = TREE(REQUIRE, @$, 2, $2, NAMED(STRING, @4, @4, syntax_string(parser, @4, $4), 0));
           }
         | tune
         | atomic ';'                           { $$ = ast_spread($1, @$); }
         | UNORDERED assign ';' {
               $$ = ast_spread($2, @$);
               $$->flags |= NODE_FLAG_UNORDERED;
           } ;

if:        IF expr block                        { $$ = TREE(IF, @$, 3, $2, $3, NULL); }
         | IF expr block ELSE block             { $$ = TREE(IF, @$, 3, $2, $3, $5); }
         | IF expr block ELSE if                { $$ = TREE(IF, @$, 3, $2, $3, $5); } ;
assign:    postfix '=' expr                     { $$ = TREE(ASSIGN, @$, 2, $1, $3); }
         | postfix OPASSIGN expr                {
               $$ = TREE(ASSIGN, @$, 2, $1, $3);
               $$->op = (unsigned char)$2.data[0];
           }
         | postfix MAX '=' expr {
               $$ = NAMED(ASSIGN, @$, @2, STR("max"), 2, $1, $4);
           }
         | postfix MIN '=' expr {
               $$ = NAMED(ASSIGN, @$, @2, STR("min"), 2, $1, $4);
           } ;
atomic:    ATOMIC assign                        { $$ = TREE(ATOMIC, @$, 1, $2); }
         | ATOMIC postfix CAS '(' expr ',' expr ')'
 {
               $$ = NAMED(ATOMIC, @$, @3, STR("cas"), 3, $2, $5, $7);
           } ;

axes:      axis                                 { $$ = TREE(AXIS, @$, 1, $1); }
         | axes ',' axis                        { $$ = EXTEND($1, @$, $3); } ;
axis:      bind
         | name '=' name {
               $$ = NAMED(BIND, @$, @1, $1, 1, NAME(@3, $3));
               $$->flags = NODE_FLAG_TWIN;
           } ;
binds:     bind                                 { $$ = TREE(ARGS, @$, 1, $1); }
         | binds ',' bind                       { $$ = EXTEND($1, @$, $3); } ;
bind:      name IN range                        { $$ = NAMED(BIND, @$, @1, $1, 1, $3); } ;
range:     bound reverse {
               $$ = ast_spread($1, @$);
               if ($2) $$->flags = NODE_FLAG_REVERSE;
           }
         | bound BY expr reverse {
               $$ = ast_spread($1, @$);
               if ($4) $$->flags = NODE_FLAG_REVERSE;
               ast_set(ARENA, $$, 2, $3);
           }
         | bound REVERSE BY expr {
               $$ = ast_spread($1, @$);
               $$->flags = NODE_FLAG_REVERSE;
               ast_set(ARENA, $$, 2, $4);
           }
         | DOTS name                            { $$ = NAMED(PACK, @$, @2, $2, 0); } ;
reverse:   %empty                               { $$ = 0; }
         | REVERSE                              { $$ = 1; } ;
bound:     expr                                 { $$ = TREE(RANGE, @$, 3, NULL, $1, NULL); }
         | expr DOTS expr                       { $$ = TREE(RANGE, @$, 3, $1, $3, NULL); } ;

/* ---- expressions */

exprs:     expr                                 { $$ = TREE(TUPLE, @$, 1, $1); }
         | exprs ',' expr                       { $$ = EXTEND($1, @$, $3); } ;
expr:      choice
         | FN '(' names_opt ')' GIVES expr      { $$ = TREE(LAMBDA, @$, 2, $3, $6); } ;
choice:    oror
         | oror '?' expr ':' expr               { $$ = TREE(CHOICE, @$, 3, $1, $3, $5); } ;
oror:      andand
         | oror OROR andand                     { $$ = binary(parser, BINARY_OROR, $1, $3); } ;
andand:    compare
         | andand ANDAND compare                { $$ = binary(parser, BINARY_ANDAND, $1, $3); } ;
compare:   bitor
         | bitor EQ bitor                       { $$ = binary(parser, BINARY_EQ, $1, $3); }
         | bitor NE bitor                       { $$ = binary(parser, BINARY_NE, $1, $3); }
         | bitor '<' bitor                      { $$ = binary(parser, BINARY_LT, $1, $3); }
         | bitor LE bitor                       { $$ = binary(parser, BINARY_LE, $1, $3); }
         | bitor '>' bitor                      { $$ = binary(parser, BINARY_GT, $1, $3); }
         | bitor GE bitor                       { $$ = binary(parser, BINARY_GE, $1, $3); } ;
bitor:     bitxor
         | bitor '|' bitxor                     { $$ = binary(parser, BINARY_OR, $1, $3); } ;
bitxor:    bitand
         | bitxor '^' bitand                    { $$ = binary(parser, BINARY_XOR, $1, $3); } ;
bitand:    shift
         | bitand '&' shift                     { $$ = binary(parser, BINARY_AND, $1, $3); } ;
shift:     sum
         | shift SHL sum                        { $$ = binary(parser, BINARY_SHL, $1, $3); }
         | shift SHR sum                        { $$ = binary(parser, BINARY_SHR, $1, $3); } ;
sum:       product
         | sum '+' product                      { $$ = binary(parser, BINARY_ADD, $1, $3); }
         | sum '-' product                      { $$ = binary(parser, BINARY_SUB, $1, $3); } ;
product:   unary
         | product '*' unary                    { $$ = binary(parser, BINARY_MUL, $1, $3); }
         | product '/' unary                    { $$ = binary(parser, BINARY_DIV, $1, $3); }
         | product '%' unary                    { $$ = binary(parser, BINARY_REM, $1, $3); } ;
unary:     postfix
         | '-' unary                            { $$ = unary(parser, '-', @$, $2); }
         | '!' unary                            { $$ = unary(parser, '!', @$, $2); }
         | '~' unary                            { $$ = unary(parser, '~', @$, $2); } ;
postfix:   primary
         | postfix '(' args_opt ')' {
               $$ = TREE(CALL, @$, 2, $1, ast_spread($3, span_join(@2, @4)));
           }
         | postfix '[' args_opt ']' {
               $$ = TREE(SUBSCRIPT, @$, 2, $1, ast_spread($3, span_join(@2, @4)));
           }
         | postfix '.' name                     { $$ = NAMED(MEMBER, @$, @3, $3, 1, $1); } ;
primary:   name                                 { $$ = NAME(@1, $1); }
         | INT {
               $$ = NAMED(INT, @$, @1, $1, 0);
               $$->integer = syntax_integer(parser, @1, $1);
           }
         | FLOAT {
               $$ = NAMED(FLOAT, @$, @1, $1, 0);
               $$->number = syntax_float(parser, @1, $1);
           }
         | STRING {
               $$ = NAMED(STRING, @$, @1, syntax_string(parser, @1, $1), 0);
           }
         | TRUE                                 { $$ = TREE(BOOL, @$, 0); $$->integer = 1; }
         | FALSE                                { $$ = TREE(BOOL, @$, 0); }
         | '@' STRING {
               $$ = NAMED(FILE_REF, @$, @2, syntax_string(parser, @2, $2), 0);
           }
         | '(' exprs ')'                        { $$ = ast_parens($2, @$); } ;

args_opt:  %empty                               { $$ = TREE(ARGS, @$, 0); }
         | args ;
args:      arg                                  { $$ = TREE(ARGS, @$, 1, $1); }
         | args ',' arg                         { $$ = EXTEND($1, @$, $3); } ;
arg:       expr
         | name '=' expr                        { $$ = NAMED(SETTING, @$, @1, $1, 1, $3); }
         | bind
         | expr DOTS expr                       { $$ = TREE(RANGE, @$, 3, $1, $3, NULL); } ;

%%

static int yyreport_syntax_error(const yypcontext_t *context, Parser *parser)
{
    yysymbol_kind_t kinds[YYNTOKENS];
    const char *names[YYNTOKENS];
    int count = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
    if (count < 0) return count;
    for (int k = 0; k < count; k++) names[k] = yysymbol_name(kinds[k]);
    syntax_unexpected(parser, (Expected){names, (uint32_t)count});
    return 0;
}

// Only called when the stack is full: errors of syntax go to yyreport_syntax_error.
static void yyerror(const YYLTYPE *where, Parser *parser, const char *text)
{
    (void)text;
    syntax_too_deep(parser, *where, TREE_DEPTH_MAX);
}

bool parser_accepts(Parser *parser, int token)
{
    yypstate *state = parser->state;
    return yy_lac(state->yyesa, &state->yyes, &state->yyes_capacity, state->yyssp, YYTRANSLATE(token)) == 0;
}

bool parser_discards(const Parser *parser)
{
    const yypstate *state = parser->state;
    return state->yyerrstatus == 3;
}

void parser_push(Parser *parser, const Token *token)
{
    YYSTYPE value = {.text = token->text};
    YYLTYPE where = token->span;
    int status = yypush_parse(parser->state, token->kind, &value, &where, parser);
    if (status != YYPUSH_MORE) parser->stopped = true;
}

static void push_all(void *self)
{
    Parser *parser = self;
    void *scanner = scanner_new(parser);
    while (scanner && !parser->stopped) {
        YYSTYPE value = {0};
        Token token = {0};
        token.kind = yylex(&value, &token.span, scanner);
        token.text = value.text;
        if (!parser->stopped) syntax_feed(parser, token);
    }
}

static void delete_state(void *self)
{
    yypstate_delete(((Parser *)self)->state);
}

// The parser's stack is the only memory that is not the arena's.
Node *parse_tokens(Parser *parser)
{
    parser->state = yypstate_new();
    if (!parser->state) arena_fail(parser->arena);
    arena_finally(parser->arena, push_all, delete_state, parser);
    return parser->hopeless ? NULL : parser->file;
}
