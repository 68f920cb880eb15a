"""What Lark computes from the grammar; `reader._Table` says what it means.

This line writes it anew: python -c "from nablisp import reader; reader.keep_table()"
"""

# ruff: noqa: E501
# fmt: off

GRAMMAR = 0xab540425
"""`zlib.crc32` of grammar/nablisp.lark"""

IGNORED = [
    '[ \t\n\\v\x0c\r]++',
    ';[^\n\r]*+',
]

TERMINALS = [
    ('INTEGER', '(?:[+-])?[0-9]++(?=[ \t\n\\v\x0c\r()\\[\\]":;]|\\Z)'),
    ('FLOAT', '(?:(?:[+-])?(?:\\.[0-9]++|[0-9]++(?:\\.[0-9]*+)?)(?:[eE][+-]?[0-9]++)?|(?:[+-])?inf|nan)(?=[ \t\n\\v\x0c\r()\\[\\]":;]|\\Z)'),
    ('KEYWORD', ':(?:(?:[A-Za-z0-9+\\-*\\/<>=!?_%&^~.@]++|[^\x00-\x7f]++))+'),
    ('SYMBOL', '(?:(?:[A-Za-z0-9+\\-*\\/<>=!?_%&^~.@]++|[^\x00-\x7f]++))+'),
    ('STRING', '"[^"\\\\]*+(?:\\\\[\\s\\S][^"\\\\]*+)*+"'),
    ('LPAR', '\\('),
    ('LSQB', '\\['),
    ('RPAR', '\\)'),
    ('RSQB', '\\]'),
]

RULES = [
    ('start', 1, ''),
    ('forms', 0, ''),
    ('forms', 2, 'integer'),
    ('forms', 2, 'float'),
    ('forms', 2, 'symbol'),
    ('forms', 2, 'keyword'),
    ('forms', 2, 'string'),
    ('forms', 4, 'list'),
    ('forms', 4, 'array'),
]

STATES = [
    {'$END': -2, 'FLOAT': -2, 'INTEGER': -2, 'KEYWORD': -2, 'LPAR': -2, 'LSQB': -2, 'STRING': -2, 'SYMBOL': -2, 'forms': 1, 'start': 2},
    {'$END': -1, 'FLOAT': 3, 'INTEGER': 4, 'KEYWORD': 5, 'LPAR': 6, 'LSQB': 7, 'STRING': 8, 'SYMBOL': 9},
    {},
    {'$END': -4, 'FLOAT': -4, 'INTEGER': -4, 'KEYWORD': -4, 'LPAR': -4, 'LSQB': -4, 'RPAR': -4, 'RSQB': -4, 'STRING': -4, 'SYMBOL': -4},
    {'$END': -3, 'FLOAT': -3, 'INTEGER': -3, 'KEYWORD': -3, 'LPAR': -3, 'LSQB': -3, 'RPAR': -3, 'RSQB': -3, 'STRING': -3, 'SYMBOL': -3},
    {'$END': -6, 'FLOAT': -6, 'INTEGER': -6, 'KEYWORD': -6, 'LPAR': -6, 'LSQB': -6, 'RPAR': -6, 'RSQB': -6, 'STRING': -6, 'SYMBOL': -6},
    {'FLOAT': -2, 'INTEGER': -2, 'KEYWORD': -2, 'LPAR': -2, 'LSQB': -2, 'RPAR': -2, 'STRING': -2, 'SYMBOL': -2, 'forms': 10},
    {'FLOAT': -2, 'INTEGER': -2, 'KEYWORD': -2, 'LPAR': -2, 'LSQB': -2, 'RSQB': -2, 'STRING': -2, 'SYMBOL': -2, 'forms': 11},
    {'$END': -7, 'FLOAT': -7, 'INTEGER': -7, 'KEYWORD': -7, 'LPAR': -7, 'LSQB': -7, 'RPAR': -7, 'RSQB': -7, 'STRING': -7, 'SYMBOL': -7},
    {'$END': -5, 'FLOAT': -5, 'INTEGER': -5, 'KEYWORD': -5, 'LPAR': -5, 'LSQB': -5, 'RPAR': -5, 'RSQB': -5, 'STRING': -5, 'SYMBOL': -5},
    {'FLOAT': 3, 'INTEGER': 4, 'KEYWORD': 5, 'LPAR': 6, 'LSQB': 7, 'RPAR': 12, 'STRING': 8, 'SYMBOL': 9},
    {'FLOAT': 3, 'INTEGER': 4, 'KEYWORD': 5, 'LPAR': 6, 'LSQB': 7, 'RSQB': 13, 'STRING': 8, 'SYMBOL': 9},
    {'$END': -8, 'FLOAT': -8, 'INTEGER': -8, 'KEYWORD': -8, 'LPAR': -8, 'LSQB': -8, 'RPAR': -8, 'RSQB': -8, 'STRING': -8, 'SYMBOL': -8},
    {'$END': -9, 'FLOAT': -9, 'INTEGER': -9, 'KEYWORD': -9, 'LPAR': -9, 'LSQB': -9, 'RPAR': -9, 'RSQB': -9, 'STRING': -9, 'SYMBOL': -9},
]
