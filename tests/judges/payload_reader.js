// Opens the payload of a sealed bid: node payload_reader.js PROFILE KEY_HEX CONTEXT FILE > plaintext
// Written from the format's description alone. Node's OpenSSL has SM3 and SM4 but no SM4-GCM, so GCM stands here in full.
const fs = require('fs'), crypto = require('crypto');
const [, , profile, keyHex, context, file] = process.argv;
const gm = profile === 'gm-1', hash = gm ? 'sm3' : 'sha512', keySize = gm ? 16 : 32;
const data = fs.readFileSync(file), CHUNK = 16384, TAG = 16;

function expand(prk, info, length) {
  let out = Buffer.alloc(0), block = Buffer.alloc(0);
  for (let i = 1; out.length < length; i++) {
    block = crypto.createHmac(hash, prk).update(Buffer.concat([block, info, Buffer.from([i])])).digest();
    out = Buffer.concat([out, block]);
  }
  return out.subarray(0, length);
}
const big = b => BigInt('0x' + (b.toString('hex') || '0'));
const bytes16 = n => Buffer.from(n.toString(16).padStart(32, '0'), 'hex');
const ecb = (key, block) => { const c = crypto.createCipheriv('sm4-ecb', key, null); c.setAutoPadding(false); return c.update(block); };

function ghash(h, text) {
  // Shoup's table of multiples of H by every nibble would be faster; one bit at a time is plainer.
  let y = 0n;
  const R = 0xe1n << 120n;
  const table = Array.from({ length: 128 });
  for (let i = 0, v = h; i < 128; i++) { table[i] = v; v = v & 1n ? (v >> 1n) ^ R : v >> 1n; }
  const times = x => { let z = 0n; for (let i = 0; i < 128; i++) if ((x >> BigInt(127 - i)) & 1n) z ^= table[i]; return z; };
  for (let at = 0; at < text.length; at += 16) {
    const block = Buffer.alloc(16); text.copy(block, 0, at, Math.min(at + 16, text.length));
    y = times(y ^ big(block));
  }
  return times(y ^ BigInt(text.length * 8));
}
function open(key, nonce, sealed) {
  const text = sealed.subarray(0, -TAG), tag = sealed.subarray(-TAG);
  if (!gm) {
    const d = crypto.createDecipheriv('aes-256-gcm', key, nonce); d.setAuthTag(tag);
    return Buffer.concat([d.update(text), d.final()]);
  }
  const j0 = Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])]);
  const expected = bytes16(ghash(big(ecb(key, Buffer.alloc(16))), text) ^ big(ecb(key, j0)));
  if (!crypto.timingSafeEqual(expected, tag)) throw new Error('tag');
  const c = crypto.createDecipheriv('sm4-ctr', key, Buffer.concat([nonce, Buffer.from([0, 0, 0, 2])]));
  return Buffer.concat([c.update(text), c.final()]);
}

const name = gm ? 'AEAD_SM4_GCM' : 'AEAD_AES_256_GCM';
const info = Buffer.concat([Buffer.from(`c2sp.org/chunked-encryption@v1+${name}\0`), data.subarray(0, 24), Buffer.from(context)]);
const derived = expand(Buffer.from(keyHex, 'hex'), info, keySize + 12 + 32);
if (!crypto.timingSafeEqual(derived.subarray(keySize + 12), data.subarray(24, 56))) throw new Error('commitment');
const base = big(derived.subarray(keySize, keySize + 12));
const out = [];
for (let at = 56, n = 0n; ; at += CHUNK + TAG, n++) {
  const nonce = Buffer.from((base ^ n).toString(16).padStart(24, '0'), 'hex');
  const chunk = data.subarray(at, at + CHUNK + TAG);
  out.push(open(derived.subarray(0, keySize), nonce, chunk));
  if (chunk.length < CHUNK + TAG) break;
}
process.stdout.write(Buffer.concat(out));
