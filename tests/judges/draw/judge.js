// A second implementation of the verifiable draw, written from its published words, in another language.
// Reads one JSON proof a line; writes one line each: "ok", or what the recomputation made instead. With "coef": indexes.
'use strict'
const crypto = require('crypto')
const sha = (...parts) => { const h = crypto.createHash('sha256'); for (const p of parts) h.update(p); return h.digest() }
const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))

function coefficient (seed, name, options) {
  const own = sha('erhai-coef-v1\n', name, '\n', seed)
  const m = BigInt(options); const span = 1n << 256n; const most = span / m * m
  for (let counter = 0; ; counter++) {
    const c = Buffer.alloc(4); c.writeUInt32BE(counter)
    const value = BigInt('0x' + sha(own, c).toString('hex'))
    if (value < most) return Number(value % m)
  }
}

function judge (p) {
  const pool = [...p.pool].sort(byBytes)
  const hash = sha(pool.map(no => no + '\n').join(''))
  if (hash.toString('hex') !== p.pool_hash) return 'pool_hash ' + hash.toString('hex')
  const nonces = p.parties.map(one => Buffer.from(one.nonce, 'hex'))
  for (const [i, one] of p.parties.entries()) {
    if (sha(nonces[i]).toString('hex') !== one.commit) return 'commit ' + i
  }
  const seed = sha('erhai-draw-v1\n', p.draw_id, '\n', hash, ...nonces)
  if (seed.toString('hex') !== p.seed) return 'seed ' + seed.toString('hex')
  const keyed = pool.map(no => [crypto.createHmac('sha256', seed).update(no).digest(), no])
  keyed.sort((a, b) => Buffer.compare(a[0], b[0]) || byBytes(a[1], b[1]))
  const order = keyed.map(pair => pair[1])
  if (order.join() !== p.order.join()) return 'order ' + order.join()
  return groups(p.groups, order)
}

// Play the groups by what the proof says of each expert, from the top of the order: a candidate of a group is whoever it
// does not record as not eligible or of an employer already reached.
function groups (groups, order) {
  const reachedBy = new Map()
  const fates = groups.map(g => new Map(g.passed.map(one => [one.no, one.outcome])))
  const skips = new Set(['not-eligible', 'same-employer'])
  const candidate = (g, no) => !skips.has(fates[g].get(no))
  const next = g => order.find(no => !reachedBy.has(no) && candidate(g, no))
  const failed = (g, no) => fates[g].has(no) && !skips.has(fates[g].get(no))
  groups.forEach((group, g) => {
    for (let i = 0; i < group.need; i++) { const no = next(g); if (no !== undefined) reachedBy.set(no, g) }
  })
  // Replacements: which group asks first hangs on the hour. Follow the record: a group takes its next when the record
  // says that it reached that one; when none can go on, all must be served.
  const due = groups.map((group, g) => [...reachedBy].filter(([no, by]) => by === g && failed(g, no)).length)
  for (let moved = true; moved;) {
    moved = false
    groups.forEach((group, g) => {
      const no = due[g] > 0 ? next(g) : undefined
      if (no === undefined || !(group.taken.includes(no) || failed(g, no))) return
      reachedBy.set(no, g); moved = true
      due[g] += failed(g, no) ? 0 : -1
    })
  }
  for (const [g, group] of groups.entries()) {
    const own = order.filter(no => reachedBy.get(no) === g)
    const taken = own.filter(no => !failed(g, no))
    if (taken.join() !== group.taken.join()) return 'taken ' + g + ' ' + taken.join()
    if (group.passed.some(one => failed(g, one.no) && reachedBy.get(one.no) !== g)) return 'passed ' + g
    if (due[g] > 0 && next(g) !== undefined) return 'short ' + g
  }
  return 'ok'
}

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)
console.log(lines.map(line => {
  const asked = JSON.parse(line)
  return asked.coef ? coefficient(Buffer.from(asked.seed, 'hex'), asked.coef, asked.options) : judge(asked)
}).join('\n'))
