// A second verifier of draws, written from docs/trust.md part 3 alone, in another language.
// Reads one JSON proof a line; writes one line each: "ok", or what does not hold. With "coef": indexes.
'use strict'
const crypto = require('crypto')
const sha = (...parts) => { const h = crypto.createHash('sha256'); for (const p of parts) h.update(p); return h.digest() }
const bytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b)
const HEX = /^[0-9a-f]{64}$/

// RFC 8785 for these values: members sorted, no spaces, the strings as JSON.stringify writes them.
function canonical (value) {
  if (Array.isArray(value)) return '[' + value.map(canonical).join(',') + ']'
  if (value !== null && typeof value === 'object') {
    return '{' + Object.keys(value).sort().map(key => JSON.stringify(key) + ':' + canonical(value[key])).join(',') + '}'
  }
  return JSON.stringify(value)
}

function index (seed, name, options) {
  const own = sha('erhai-coef-v1\n', name, '\n', seed)
  const m = BigInt(options); const span = 1n << 256n; const most = span / m * m
  for (let counter = 0; ; counter++) {
    const c = Buffer.alloc(4); c.writeUInt32BE(counter)
    const value = BigInt('0x' + sha(own, c).toString('hex'))
    if (value < most) return Number(value % m)
  }
}

function judge (p) {
  const options = 'options' in p
  const members = options
    ? ['v', 'draw_id', 'kind', 'name', 'options', 'pool_hash', 'parties', 'seed', 'drawn']
    : ['v', 'draw_id', 'pool', 'pool_hash', 'parties', 'seed', 'order', 'groups']
  if (p.v !== 2 && (p.v !== 1 || options)) return 'v'
  if (p.v === 2) members.push('digest')
  if (!same(Object.keys(p).sort(), [...members].sort())) return 'members'
  if (p.v === 2) {
    const { digest, ...rest } = p
    if (sha('erhai-proof-v1\n', canonical(rest)).toString('hex') !== digest) return 'digest'
  }
  const pool = options ? p.options : p.pool
  if (!same(pool, [...new Set(pool)].sort(bytes)) || pool.length === 0) return 'pool'
  const hash = sha(pool.map(no => no + '\n').join(''))
  if (hash.toString('hex') !== p.pool_hash) return 'pool_hash'
  if (!same(p.parties.slice(0, 3).map(one => one.name), ['CENTER', 'SUPERVISOR', 'TENDERER'])) return 'parties'
  if (new Set(p.parties.map(one => one.name)).size !== p.parties.length) return 'parties'
  if (new Set(p.parties.map(one => one.commit)).size !== p.parties.length) return 'commits'
  for (const one of p.parties) {
    if (!HEX.test(one.commit) || !HEX.test(one.nonce)) return 'hex'
    if (sha(Buffer.from(one.nonce, 'hex')).toString('hex') !== one.commit) return 'commit'
    if (one.source !== 'reveal' && one.source !== 'escrow') return 'source'
  }
  const nonces = p.parties.map(one => Buffer.from(one.nonce, 'hex'))
  const seed = sha('erhai-draw-v1\n', p.draw_id, '\n', hash, ...nonces)
  if (seed.toString('hex') !== p.seed) return 'seed'
  if (options) return drawn(p, seed)
  const keyed = pool.map(no => [crypto.createHmac('sha256', seed).update(no).digest(), no])
  keyed.sort((a, b) => Buffer.compare(a[0], b[0]) || bytes(a[1], b[1]))
  const order = keyed.map(pair => pair[1])
  return same(order, p.order) ? groups(p.groups, order) : 'order'
}

function drawn (p, seed) {
  if (p.options.length < 2) return 'options'
  if (p.kind === 'coefficient') return same(p.drawn, [p.options[index(seed, p.name, p.options.length)]]) ? 'ok' : 'drawn'
  if (p.kind !== 'tie') return 'kind'
  const left = [...p.options]; const made = []
  while (left.length) made.push(...left.splice(index(seed, `${p.name}/${made.length + 1}`, left.length), 1))
  return same(p.drawn, made) ? 'ok' : 'drawn'
}

const SKIPS = ['not-eligible', 'same-employer']
const FAILS = ['declined', 'no-answer', 'withdrawn', 'absent', 'recused']

function groups (all, order) {
  const place = new Map(order.map((no, at) => [no, at]))
  const inOrder = list => list.every((no, at) => place.has(no) && (at === 0 || place.get(list[at - 1]) < place.get(no)))
  if (!all.length || new Set(all.map(g => g.name)).size !== all.length) return 'groups'
  const reachedBy = new Map()
  for (const [at, g] of all.entries()) {
    if (!Number.isInteger(g.need) || g.need < 1 || !g.name || g.taken.length > g.need) return 'group ' + at
    if (!inOrder(g.taken) || !inOrder(g.passed.map(one => one.no))) return 'in order ' + at
    if (!g.passed.every(one => SKIPS.includes(one.outcome) || FAILS.includes(one.outcome))) return 'outcome ' + at
    const passed = new Set(g.passed.map(one => one.no))
    if (g.taken.some(no => passed.has(no))) return 'twice ' + at
    for (const no of [...g.taken, ...g.passed.filter(one => FAILS.includes(one.outcome)).map(one => one.no)]) {
      if (reachedBy.has(no)) return 'twice ' + at
      reachedBy.set(no, at)
    }
  }
  if (all.some(g => g.passed.some(one => one.outcome === 'same-employer' && reachedBy.has(one.no)))) return 'employer'
  const first = new Set()
  for (const [at, g] of all.entries()) {
    const skips = new Set(g.passed.filter(one => SKIPS.includes(one.outcome)).map(one => one.no))
    const own = order.filter(no => reachedBy.get(no) === at)
    const chosen = order.filter(no => !skips.has(no) && !first.has(no)).slice(0, g.need)
    if (!chosen.every(no => reachedBy.get(no) === at)) return 'first ' + at
    chosen.forEach(no => first.add(no))
    let failed = chosen.filter(no => !g.taken.includes(no)).length
    for (const [n, no] of own.filter(no => !chosen.includes(no)).entries()) {
      if (failed < n + 1) return 'too many ' + at
      failed += g.taken.includes(no) ? 0 : 1
    }
    const full = g.taken.length === g.need
    const last = own.length ? place.get(own[own.length - 1]) : -1
    const must = full ? order.slice(0, last + 1) : order
    if (!must.every(no => reachedBy.has(no) || skips.has(no))) return 'left out ' + at
    if (full && order.slice(last + 1).some(no => skips.has(no))) return 'too far ' + at
  }
  return 'ok'
}

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)
console.log(lines.map(line => {
  const asked = JSON.parse(line)
  return asked.coef ? index(Buffer.from(asked.seed, 'hex'), asked.coef, asked.options) : judge(asked)
}).join('\n'))
