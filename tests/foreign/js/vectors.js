// Checks every file of test vectors with what was written from the documents alone:  node vectors.js FOLDER
// It needs no packages, and prints the name of each file that it agrees with.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { check, fromHex as bytes, hex, text } from './bytes.js'
import { decode, encode } from './encoding.js'
import { isSigned, sha256 } from './hashing.js'
import * as ledger from './ledger.js'
import * as proofs from './proof.js'
import * as wire from './wire.js'

const read = (name) => JSON.parse(readFileSync(join(process.argv[2], name + '.json'), 'utf8'))
const genesis = read('genesis')
const network = read('network')
const chainId = bytes(network.chain_id)

function equal (found, wanted, what) {
  const inside = (_key, each) => each instanceof Uint8Array ? hex(each) : each
  const plain = (each) => each instanceof Uint8Array ? hex(each) : typeof each === 'string' ? each : JSON.stringify(each, inside)
  const [one, other] = [plain(found), plain(wanted)]
  check(one === other, `${what}: ${one} where ${other} is wanted`)
}

async function refuses (act, what) {
  try {
    await act()
  } catch {
    return
  }
  throw new Error(`${what} is let pass`)
}

const all = (items, read) => Promise.all(items.map(read))

// Who votes on a branch, and what is final there.
function described ({ electorate: { start, current, phase, barred, tags }, mhp, final }) {
  const weights = (set) => set.weights.map(([key, weight]) => [hex(key), weight])
  return {
    mhp,
    final,
    start,
    voting: weights(current),
    phase: phase && [phase.isJoint ? 'joint' : 'gate', phase.since, weights(phase.following)],
    barred,
    tags: [...tags].map(([key, { tag, height }]) => [key, tag, height]).sort()
  }
}

const KEY_HEADER = Buffer.from('302e020100300506032b657004220420', 'hex') // PKCS#8 of an Ed25519 seed

function keyOfSeed (seed) {
  const secret = createPrivateKey({ key: Buffer.concat([KEY_HEADER, seed]), format: 'der', type: 'pkcs8' })
  const key = Buffer.from(createPublicKey(secret).export({ format: 'jwk' }).x, 'base64url')
  return { key, sign: (message) => sign(null, message, secret) }
}

const checks = {
  async encoding ({ numbers, arrays, long, refused }) {
    for (const { value, bytes: raw } of numbers) {
      equal(encode([BigInt(value)]), raw, value)
      equal(decode(bytes(raw))[0].toString(), value, value)
    }
    for (const { what, bytes: raw } of arrays) equal(encode(decode(bytes(raw))), raw, what)
    equal(encode([Buffer.alloc(256, 7)]), long.bytes, long.what)
    for (const { what, bytes: raw } of refused) await refuses(() => decode(bytes(raw)), what)
  },

  async genesis () {
    equal(proofs.validatorsOf(genesis).map(([key]) => hex(key)), network.validators.map(({ key }) => key), 'the validators')
  },

  async network ({ policy, policy_digest: digest, prefix, topics }) {
    equal(await sha256(Buffer.from('goodfaith/policy/3'), bytes(policy)), digest, 'the digest of the policy')
    equal(await proofs.genesisId(genesis, bytes(digest)), network.chain_id, 'the chain id')
    equal(wire.prefixOf(chainId), prefix, 'the prefix')
    equal([prefix + 'blocks', prefix + 'transactions'], topics, 'the topics')
  },

  async frames ({ lengths, request, replies }) {
    for (const { length, bytes: raw } of lengths) equal(wire.frame(Buffer.alloc(length)).subarray(0, raw.length / 2), raw, `a length of ${length}`)
    const line = (text) => wire.frame(Buffer.from(text + '\n'))
    const written = Buffer.concat([line('/multistream/1.0.0'), line(request.protocol), wire.frame(bytes(request.request))])
    equal(written, request.written, 'a request')
    for (const [code, { status, body, written }] of replies.entries()) {
      const reply = Buffer.concat([Buffer.from([code]), bytes(body)])
      equal(wire.frame(reply), written, `a reply that is ${status}`)
      if (status === 'ok') equal(wire.bodyOf(reply), body, 'the body')
      else await refuses(() => wire.bodyOf(reply), status)
    }
  },

  async hello ({ peer, credential, observer, validator, peers }) {
    const { key } = keyOfSeed(bytes(peer.seed))
    equal(Buffer.concat([bytes('002408011220'), key]), peer.peer_id_bytes, 'the peer id')
    equal(Buffer.concat([Buffer.from('goodfaith/peer/1'), chainId, Buffer.from(peer.peer_id)]), credential.message, 'what a credential signs')
    check(await isSigned(bytes(credential.key), bytes(credential.message), bytes(credential.signature)), 'the credential is not signed')
    equal(wire.nothing(chainId), observer.status, 'the status of an observer')
    equal(wire.hello(bytes(observer.status)), observer.hello, 'the hello of an observer')
    const { head, height, mhp, restart, finalized, time_ms: time, key: named, signature, oldest_body: oldest } = validator.fields
    equal(encode([bytes(head), height, mhp, restart, finalized, time, bytes(named), bytes(signature), oldest]), validator.status, 'a status')
    equal(wire.hello(bytes(validator.status), validator.addresses), validator.hello, 'a hello')
    equal(decode(bytes(peers.reply)).map(text), peers.addresses, 'the addresses of peers')
  },

  async requests ({ headings, blocks, transactions, proof }) {
    for (const each of [headings, blocks]) equal(wire.range(bytes(each.tip), each.from_height, each.count, each.bytes), each.request, 'a range')
    const heads = await all(decode(bytes(headings.reply)), async (each) => (await ledger.readHeading(...decode(each), chainId)).header)
    const whole = await all(decode(bytes(blocks.reply)), async (each) => (await ledger.readBlock(each, chainId)).header)
    equal(heads.map(({ height }) => height), [2, 3], 'the heights of the headings')
    equal(whole.map(({ id }) => id), heads.map(({ id }) => id), 'the same blocks')
    equal(encode([Buffer.concat(transactions.ids.map(bytes))]), transactions.request, 'a request for transactions')
    equal(await all(decode(bytes(transactions.reply)), async (each) => hex((await ledger.readTransaction(each, chainId)).id)), transactions.ids, 'transactions')
    const shown = await proofs.checkProof(bytes(proof.reply), genesis, chainId, bytes(proof.key))
    equal([shown.height, shown.isMember, shown.nonce], [proof.height, true, 2], 'the proof')
    const spoilt = bytes(proof.reply)
    spoilt[spoilt.length - 40] ^= 1
    await refuses(() => proofs.checkProof(spoilt, genesis, chainId, bytes(proof.key)), 'a spoilt proof')
  },

  async gossip ({ messages }) {
    const { sign } = keyOfSeed(bytes(read('hello').peer.seed))
    for (const { topic, data, from, seqno, signed, signature, id } of messages) {
      const field = (number, value) => Buffer.concat([Buffer.from([number << 3 | 2]), wire.frame(value)])
      const payload = Buffer.concat([Buffer.from('libp2p-pubsub:'), field(1, bytes(from)), field(2, bytes(data)), field(3, bytes(seqno)), field(4, Buffer.from(topic))])
      equal(payload, signed, 'what a message signs')
      equal(sign(payload), signature, 'its signature')
      equal(await wire.messageId(topic, bytes(data)), id, 'its id')
    }
    const { header, ids } = await ledger.readAnnouncement(bytes(messages[0].data), chainId)
    equal([header.height, ids.length], [1, 3], 'the announcement')
    equal(decode(bytes(messages[1].data)).length, 3, 'the transactions')
  },

  async relay ({ attestations, frame }) {
    const items = await all(decode(bytes(frame)), (item) => ledger.readAttestation(item, chainId))
    equal(items.map(({ id }) => hex(id)), attestations.map(({ id }) => id), 'the ids')
    equal(items.map(({ height, mhg, mhp }) => [height, mhg, mhp]), attestations.map(({ height, mhg, mhp }) => [height, mhg, mhp]), 'the numbers')
  },

  async refusals ({ codes, refusals }) {
    for (const { why, seconds, text, refusal } of refusals) {
      equal(encode([codes[why], seconds, Buffer.from(text)]), refusal, why)
      equal(wire.readRefusal(bytes(refusal)), { why, seconds, text }, why)
    }
  },

  async chain ({ transactions, blocks }) {
    const votes = proofs.votesOf(genesis, chainId)
    equal(await all(transactions, async ({ raw }) => hex((await ledger.readTransaction(bytes(raw), chainId)).id)), transactions.map(({ id }) => id), 'transactions')
    let parent = chainId
    for (const each of blocks) {
      const block = await ledger.readBlock(bytes(each.raw), chainId)
      await votes.take(block)
      equal(block.header.id, each.id, 'the id of a block')
      equal(block.header.parent, parent, 'its parent')
      equal([block.header.height, block.header.slot, block.header.mhp, votes.final], [each.height, each.slot, each.mhp, each.final_after_it], 'its numbers')
      parent = block.header.id
      await refuses(() => ledger.readBlock(Buffer.concat([bytes(each.raw).subarray(0, -1), Buffer.from([1])]), chainId), 'a spoilt block')
    }
  },

  async changes ({ chains, proofs: files }) {
    for (const { genesis: rules, chain_id: id, headings } of chains) {
      const votes = proofs.votesOf(rules, bytes(id))
      for (const each of headings) {
        const heading = await ledger.readHeading(...decode(bytes(each.heading)), bytes(id))
        await votes.take(heading)
        equal(described(votes), each.after_it, `what is so after height ${each.height}`)
      }
    }
    for (const { chain, key, height, runs, is_member: isMember, file } of files) {
      const { genesis: rules, chain_id: id } = chains[chain]
      equal(decode(bytes(file))[4].length, runs, 'the runs of headers')
      const shown = await proofs.checkProof(bytes(file), rules, bytes(id), bytes(key))
      equal([shown.height, shown.isMember], [height, isMember], 'the proof')
      if (runs === 1) continue
      const fields = decode(bytes(file))
      fields[4] = fields[4].slice(-1)
      await refuses(() => proofs.checkProof(encode(fields), rules, bytes(id), bytes(key)), 'a proof without what led to its validators')
    }
  },

  async state ({ paths }) {
    for (const { root, key, value, path } of paths) {
      const shown = value === null ? null : bytes(value)
      check(await ledger.isShown(bytes(root), bytes(key), shown, bytes(path)), `the path of ${key}`)
      check(!await ledger.isShown(bytes(root), bytes(key), shown === null ? Buffer.from('x') : null, bytes(path)), `the opposite of ${key}`)
    }
  }
}

for (const [name, agree] of Object.entries(checks)) {
  await agree(read(name))
  console.log(name)
}
