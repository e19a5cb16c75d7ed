// Signs and verifies with the platforms' own libraries, for tests that compare
// them with Surehook. It reads one JSON object a line and answers each with one:
//
//   {"sdk", "op": "sign",   "secret", "request": {"url", "headers", "body", "at"}}  →  {"headers", "url"}
//   {"sdk", "op": "verify", "secret", "request": {"url", "headers", "body"}}        →  {"accepted", "reason"}
//
// Names of headers are in lower case, "at" is in Unix seconds, and the libraries
// that judge the age of a request do so by the clock. What is neither signed,
// accepted nor refused but fails in another way comes back as {"error"}.
import {createHmac} from 'node:crypto';
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';

import '@shopify/shopify-api/adapters/node';
import {LogSeverity, shopifyApi} from '@shopify/shopify-api';
import {createSHA256HMAC, HashFormat} from '@shopify/shopify-api/runtime';
import * as octokit from '@octokit/webhooks-methods';
import * as standard from 'standardwebhooks';
import Stripe from 'stripe';
import * as svix from 'svix';
import twilio from 'twilio';

// Bolt's receivers share a verifier that the package does not export.
const slack = createRequire(import.meta.url)('@slack/bolt/dist/receivers/verify-request.js');

const accepted = {accepted: true};
const refused = (reason) => ({accepted: false, reason: String(reason)});
const judged = (ok) => (ok ? accepted : refused('the library says no'));

// judge runs a verifier that throws an error of its own kind when it refuses.
function judge(isRefusal, verify) {
  try {
    verify();
    return accepted;
  } catch (err) {
    if (!isRefusal(err)) throw err;
    return refused(err.message);
  }
}

// The libraries of Standard Webhooks and of Svix, under either name of the headers.
const standardWebhooks = ({Webhook, WebhookVerificationError}, prefix) => ({
  sign: (secret, {headers, body, at}) => ({
    headers: {
      [`${prefix}-timestamp`]: String(at),
      [`${prefix}-signature`]: new Webhook(secret).sign(headers[`${prefix}-id`], new Date(at * 1000), body),
    },
  }),
  verify: (secret, {headers, body}) =>
    judge((err) => err instanceof WebhookVerificationError, () => new Webhook(secret).verify(body, headers)),
});

const isForm = (headers) => headers['content-type'] === 'application/x-www-form-urlencoded';

// params reads a form as the parsers of Node's servers do: a name that is there
// twice has a list.
function params(body) {
  const found = {};
  for (const [name, value] of new URLSearchParams(body)) {
    found[name] = name in found ? [found[name], value].flat() : value;
  }
  return found;
}

const sdks = {
  stripe: {
    sign: (secret, {body, at}) => ({
      headers: {'stripe-signature': Stripe.webhooks.generateTestHeaderString({payload: body, secret, timestamp: at})},
    }),
    verify: (secret, {headers, body}) =>
      judge(
        (err) => err instanceof Stripe.errors.StripeSignatureVerificationError,
        () => Stripe.webhooks.constructEvent(body, headers['stripe-signature'], secret),
      ),
  },

  '@octokit/webhooks-methods': {
    sign: async (secret, {body}) => ({headers: {'x-hub-signature-256': await octokit.sign(secret, body)}}),
    verify: async (secret, {headers, body}) => judged(await octokit.verify(secret, body, headers['x-hub-signature-256'])),
  },

  twilio: {
    // For a body that is no form Twilio adds its hash to the URL, which is signed.
    sign: (secret, {url, headers, body}) => {
      if (!isForm(headers)) {
        url += `${url.includes('?') ? '&' : '?'}bodySHA256=${twilio.getExpectedBodyHash(body)}`;
        body = '';
      }
      return {url, headers: {'x-twilio-signature': twilio.getExpectedTwilioSignature(secret, url, params(body))}};
    },
    verify: (secret, {url, headers, body}) => {
      const signature = headers['x-twilio-signature'];
      return judged(
        isForm(headers)
          ? twilio.validateRequest(secret, signature, url, params(body))
          : twilio.validateRequestWithBody(secret, signature, url, body),
      );
    },
  },

  standardwebhooks: standardWebhooks(standard, 'webhook'),
  svix: standardWebhooks(svix, 'svix'),

  '@shopify/shopify-api': {
    // The library signs no webhooks, so this is its HMAC.
    sign: async (secret, {body}) => ({
      headers: {'x-shopify-hmac-sha256': await createSHA256HMAC(secret, body, HashFormat.Base64)},
    }),
    verify: async (secret, {url, headers, body}) => {
      const shopify = shopifyApi({
        apiKey: 'unused', apiSecretKey: secret, apiVersion: '2025-07', hostName: 'hooks.example.com', isEmbeddedApp: false,
        logger: {level: LogSeverity.Error, log: () => {}},
      });
      const result = await shopify.webhooks.validate({rawBody: body, rawRequest: {method: 'POST', url, headers}});
      return result.valid ? accepted : refused(result.reason);
    },
  },

  '@slack/bolt': {
    // The library signs nothing. This is its check, in the other direction.
    sign: (secret, {body, at}) => ({
      headers: {
        'x-slack-request-timestamp': String(at),
        'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`,
      },
    }),
    verify: (secret, {headers, body}) => {
      const timestamp = Number(headers['x-slack-request-timestamp']);
      return judge(
        (err) => err.message.startsWith('Failed to verify authenticity'),
        () => slack.verifySlackRequest({signingSecret: secret, body, headers: {...headers, 'x-slack-request-timestamp': timestamp}}),
      );
    },
  },
};

async function answer({sdk, op, secret, request}) {
  const does = sdks[sdk]?.[op];
  if (!does) throw new Error(`no operation ${op} of ${sdk}`);
  return does(secret, request);
}

for await (const line of createInterface({input: process.stdin})) {
  let said;
  try {
    said = await answer(JSON.parse(line));
  } catch (err) {
    said = {error: String(err?.stack ?? err)};
  }
  process.stdout.write(JSON.stringify(said) + '\n');
}
