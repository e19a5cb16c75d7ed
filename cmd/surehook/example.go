//go:build !nodev

package main

// exampleSources is what `surehook dev` writes for who has no file yet.
const exampleSources = `# The sources of this Surehook: who may send webhooks, and how they prove who they are.
# Written by "surehook dev"; edit it and start again. Secrets are only references.
sources:

  stripe:                                # POST /webhooks/stripe
    provider: stripe
    secrets: ["${SANDBOX_STRIPE_SECRET}"] # several may be live at once, for a rotation
    api:
      base_url: ${SUREHOOK_SANDBOX_URL}/stripe   # leave it out to call the real Stripe
      key: "${SANDBOX_API_KEY}"
      rate: 100/s                        # calls of the API, across all processes
    mode: test                           # events of the other mode are ignored
    events:
      accept: ["*"]                      # event types; * stands for any characters
      other: ignore                      # what becomes of the rest: ignore or review
    reconcile:                           # find what the webhooks missed; see "surehook reconcile list"
      cron: "*/5 * * * *"
      lookback: 1h                       # each run also looks at the hour before the last one
      lists: [events, customer, invoice] # without it, all that fit the accepted events
      unseen: 24h                        # records not seen for so long are fetched again
    limits: { body: 1MiB, rate: 500/s }
    owner: you
    purpose: Shows how a source is declared.

  github:                                # POST /webhooks/github
    provider: github
    secrets: ["${SANDBOX_GITHUB_SECRET}"]
    api:
      base_url: ${SUREHOOK_SANDBOX_URL}/github
      key: "${SANDBOX_API_KEY}"
    settings:                            # what only this platform has: here, what can be listed
      repositories: [octo-org/hello-world]
      hooks: [{ repository: octo-org/hello-world, id: 471234567 }]
    reconcile: { cron: "*/5 * * * *", unseen: 24h }
    owner: you
    purpose: Shows a second platform.

  # The others that the sandbox plays. "surehook send <source> <type>" sends one of their events.
  jira:
    provider: jira
    secrets: ["${SANDBOX_JIRA_SECRET}"]
    api: { base_url: "${SUREHOOK_SANDBOX_URL}/jira", key: "${SANDBOX_API_KEY}" }
    settings: { site: sandbox.atlassian.net }

  mailchimp:
    provider: mailchimp
    secrets: ["${SANDBOX_MAILCHIMP_SECRET}"]
    api: { base_url: "${SUREHOOK_SANDBOX_URL}/mailchimp", key: "${SANDBOX_API_KEY}" }
    settings: { audiences: [a6b5da1054] }   # whose members can be listed

  mandrill:
    provider: mandrill
    secrets: ["${SANDBOX_MANDRILL_SECRET}"]
    api: { base_url: "${SUREHOOK_SANDBOX_URL}/mandrill", key: "${SANDBOX_API_KEY}" }

  msgraph:
    provider: msgraph
    secrets: ["${SANDBOX_MSGRAPH_SECRET}"]
    api: { base_url: "${SUREHOOK_SANDBOX_URL}/msgraph", key: "${SANDBOX_API_KEY}" }

  shopify:
    provider: shopify
    secrets: ["${SANDBOX_SHOPIFY_SECRET}"]
    api: { base_url: "${SUREHOOK_SANDBOX_URL}/shopify", key: "${SANDBOX_API_KEY}" }
    settings: { shop: surehook-dev.myshopify.com }

  slack:
    provider: slack
    secrets: ["${SANDBOX_SLACK_SECRET}"]
    api: { base_url: "${SUREHOOK_SANDBOX_URL}/slack", key: "${SANDBOX_API_KEY}" }

  standard-webhooks:
    provider: standard-webhooks
    secrets: ["${SANDBOX_STANDARD_WEBHOOKS_SECRET}"]

  twilio:
    provider: twilio
    secrets: ["${SANDBOX_TWILIO_SECRET}"]
    api: { base_url: "${SUREHOOK_SANDBOX_URL}/twilio", key: "${SANDBOX_API_KEY}" }
    settings: { account_sid: AC5a4db0c05a4db0c05a4db0c05a4db0c0 }
`
