#ifndef XMPP_NS_H
#define XMPP_NS_H

/*
 * The namespaces that stanzad speaks, as literals: STR(NS_PING) is a struct str, and
 * "<ping xmlns='" NS_PING "'/>" is a text. The look-ups of xml/el.h take them as they
 * are.
 */

/* The stream (RFC 6120, 6121) */
#define NS_STREAMS          "http://etherx.jabber.org/streams"
#define NS_CLIENT           "jabber:client"
#define NS_SERVER           "jabber:server"
#define NS_COMPONENT        "jabber:component:accept"
#define NS_STREAM_ERROR     "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_STANZA_ERROR     "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_TLS              "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL             "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_BIND             "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION          "urn:ietf:params:xml:ns:xmpp-session"
#define NS_ROSTER           "jabber:iq:roster"
#define NS_ROSTERVER        "urn:xmpp:features:rosterver"
#define NS_PREAPPROVAL      "urn:xmpp:features:pre-approval"
#define NS_FRAMING          "urn:ietf:params:xml:ns:xmpp-framing" /* RFC 7395 */
#define NS_DIALBACK         "jabber:server:dialback"              /* XEP-0220 */
#define NS_DIALBACK_FEATURE "urn:xmpp:features:dialback"
#define NS_BIDI             "urn:xmpp:bidi" /* XEP-0288 */
#define NS_BIDI_FEATURE     "urn:xmpp:features:bidi"
#define NS_SM               "urn:xmpp:sm:3"                       /* XEP-0198 */
#define NS_CSI              "urn:xmpp:csi:0"                      /* XEP-0352 */
#define NS_SASL2            "urn:xmpp:sasl:2"                     /* XEP-0388 */
#define NS_BIND2            "urn:xmpp:bind:0"                     /* XEP-0386 */
#define NS_FAST             "urn:xmpp:fast:0"                     /* XEP-0484 */
#define NS_SASL_CB          "urn:xmpp:sasl-cb:0"                  /* XEP-0440 */
#define NS_SASL_UPGRADE     "urn:xmpp:sasl:upgrade:0"             /* XEP-0480 */
#define NS_SSDP             "urn:xmpp:ssdp:0"                     /* XEP-0474 */
#define NS_LIMITS           "urn:xmpp:stream-limits:0"            /* XEP-0478 */
#define NS_COMPRESS         "http://jabber.org/protocol/compress" /* XEP-0138 */
#define NS_COMPRESS_FEATURE "http://jabber.org/features/compress"
#define NS_IQ_AUTH          "jabber:iq:auth" /* XEP-0078 */
#define NS_IQ_AUTH_FEATURE  "http://jabber.org/features/iq-auth"
#define NS_REGISTER_FEATURE "http://jabber.org/features/iq-register"
#define NS_HTTPBIND         "http://jabber.org/protocol/httpbind" /* XEP-0124 */
#define NS_XBOSH            "urn:xmpp:xbosh"                      /* XEP-0206 */
#define NS_ALTCONN          "urn:xmpp:alt-connections:websocket"

/* Finding out */
#define NS_DISCO_INFO    "http://jabber.org/protocol/disco#info" /* XEP-0030 */
#define NS_DISCO_ITEMS   "http://jabber.org/protocol/disco#items"
#define NS_CAPS          "http://jabber.org/protocol/caps" /* XEP-0115 */
#define NS_CAPS_OPTIMIZE "http://jabber.org/protocol/caps#optimize"
#define NS_VERSION       "jabber:iq:version"                         /* XEP-0092 */
#define NS_LAST          "jabber:iq:last"                            /* XEP-0012 */
#define NS_TIME          "urn:xmpp:time"                             /* XEP-0202 */
#define NS_PING          "urn:xmpp:ping"                             /* XEP-0199 */
#define NS_REGISTER      "jabber:iq:register"                        /* XEP-0077 */
#define NS_SEARCH        "jabber:iq:search"                          /* XEP-0055 */
#define NS_SERVERINFO    "http://jabber.org/network/serverinfo"      /* XEP-0157 */
#define NS_RSM           "http://jabber.org/protocol/rsm"            /* XEP-0059 */
#define NS_DATA          "jabber:x:data"                             /* XEP-0004 */
#define NS_DATA_LAYOUT   "http://jabber.org/protocol/xdata-layout"   /* XEP-0141 */
#define NS_DATA_MEDIA    "urn:xmpp:media-element"                    /* XEP-0221 */
#define NS_CAPTCHA       "urn:xmpp:captcha"                          /* XEP-0158 */
#define NS_SOFTWAREINFO  "urn:xmpp:dataforms:softwareinfo"           /* XEP-0232 */
#define NS_DATA_VALIDATE "http://jabber.org/protocol/xdata-validate" /* XEP-0122 */
#define NS_COMMANDS      "http://jabber.org/protocol/commands"       /* XEP-0050 */
#define NS_ADMIN         "http://jabber.org/protocol/admin"          /* XEP-0133 */
#define NS_OOB           "jabber:x:oob"                              /* XEP-0066 */
#define NS_UPLOAD        "urn:xmpp:http:upload:0"                    /* XEP-0363 */
#define NS_EXTDISCO      "urn:xmpp:extdisco:2"                       /* XEP-0215 */
#define NS_INVITE        "urn:xmpp:invite"                           /* XEP-0401 */
#define NS_IBR_TOKEN     "urn:xmpp:ibr-token:0"                      /* XEP-0445 */

/* Messages */
#define NS_DELAY          "urn:xmpp:delay"                     /* XEP-0203 */
#define NS_DELAY_OLD      "jabber:x:delay"                     /* XEP-0091 */
#define NS_OFFLINE        "http://jabber.org/protocol/offline" /* XEP-0013 */
#define NS_CARBONS        "urn:xmpp:carbons:2"                 /* XEP-0280 */
#define NS_CARBONS_RULES  "urn:xmpp:carbons:rules:0"
#define NS_FORWARD        "urn:xmpp:forward:0" /* XEP-0297 */
#define NS_HINTS          "urn:xmpp:hints"     /* XEP-0334 */
#define NS_SID            "urn:xmpp:sid:0"     /* XEP-0359 */
#define NS_MAM            "urn:xmpp:mam:2"     /* XEP-0313 */
#define NS_MAM_EXTENDED   "urn:xmpp:mam:2#extended"
#define NS_MAM_GROUPCHAT  "urn:xmpp:mam:2#groupchat-field"
#define NS_MAM_TMP        "urn:xmpp:mam:tmp"
#define NS_RECEIPTS       "urn:xmpp:receipts"                     /* XEP-0184 */
#define NS_MARKERS        "urn:xmpp:chat-markers:0"               /* XEP-0333 */
#define NS_CHATSTATES     "http://jabber.org/protocol/chatstates" /* XEP-0085 */
#define NS_CORRECT        "urn:xmpp:message-correct:0"            /* XEP-0308 */
#define NS_RETRACT        "urn:xmpp:message-retract:1"            /* XEP-0424 */
#define NS_MODERATE       "urn:xmpp:message-moderate:1"           /* XEP-0425 */
#define NS_FASTEN         "urn:xmpp:fasten:0"                     /* XEP-0422 */
#define NS_REACTIONS      "urn:xmpp:reactions:0"                  /* XEP-0444 */
#define NS_EME            "urn:xmpp:eme:0"                        /* XEP-0380 */
#define NS_OMEMO_OLD      "eu.siacs.conversations.axolotl"
#define NS_OMEMO          "urn:xmpp:omemo:2"                    /* XEP-0384 */
#define NS_OPENPGP        "urn:xmpp:openpgp:0"                  /* XEP-0373 */
#define NS_OPENPGP_OLD    "jabber:x:encrypted"                  /* XEP-0027 */
#define NS_JINGLE_MESSAGE "urn:xmpp:jingle-message:0"           /* XEP-0353 */
#define NS_AMP            "http://jabber.org/protocol/amp"      /* XEP-0079 */
#define NS_ADDRESS        "http://jabber.org/protocol/address"  /* XEP-0033 */
#define NS_XHTML_IM       "http://jabber.org/protocol/xhtml-im" /* XEP-0071 */
#define NS_NICK           "http://jabber.org/protocol/nick"     /* XEP-0172 */
#define NS_EXPIRE         "jabber:x:expire"                     /* XEP-0023 */
#define NS_MSGOFFLINE     "msgoffline"                          /* XEP-0160 */
#define NS_EVENT_OLD      "jabber:x:event"                      /* XEP-0022 */

/* The account */
#define NS_PRIVATE              "jabber:iq:private"                /* XEP-0049 */
#define NS_VCARD                "vcard-temp"                       /* XEP-0054 */
#define NS_VCARD_UPDATE         "vcard-temp:x:update"              /* XEP-0153 */
#define NS_VCARD4               "urn:ietf:params:xml:ns:vcard-4.0" /* XEP-0292 */
#define NS_VCARD4_NODE          "urn:xmpp:vcard4"
#define NS_AVATAR_DATA          "urn:xmpp:avatar:data" /* XEP-0084 */
#define NS_AVATAR_METADATA      "urn:xmpp:avatar:metadata"
#define NS_PEP_VCARD_CONVERSION "urn:xmpp:pep-vcard-conversion:0" /* XEP-0398 */
#define NS_PRIVACY              "jabber:iq:privacy"               /* XEP-0016 */
#define NS_BLOCKING             "urn:xmpp:blocking"               /* XEP-0191 */
#define NS_BLOCKING_ERRORS      "urn:xmpp:blocking:errors"
#define NS_REPORTING            "urn:xmpp:reporting:1" /* XEP-0377 */
#define NS_BOOKMARKS            "storage:bookmarks"    /* XEP-0048 */
#define NS_BOOKMARKS2           "urn:xmpp:bookmarks:1" /* XEP-0402 */
#define NS_BOOKMARKS2_COMPAT    "urn:xmpp:bookmarks:1#compat"
#define NS_ROSTERX              "http://jabber.org/protocol/rosterx" /* XEP-0144 */
#define NS_PUSH                 "urn:xmpp:push:0"                    /* XEP-0357 */
#define NS_PUSH_SUMMARY         "urn:xmpp:push:summary"

/* Groups and nodes */
#define NS_MUC                    "http://jabber.org/protocol/muc" /* XEP-0045 */
#define NS_MUC_USER               "http://jabber.org/protocol/muc#user"
#define NS_MUC_ADMIN              "http://jabber.org/protocol/muc#admin"
#define NS_MUC_OWNER              "http://jabber.org/protocol/muc#owner"
#define NS_MUC_UNIQUE             "http://jabber.org/protocol/muc#unique"
#define NS_MUC_REGISTER           "http://jabber.org/protocol/muc#register"
#define NS_MUC_ROOMCONFIG         "http://jabber.org/protocol/muc#roomconfig"
#define NS_MUC_ROOMINFO           "http://jabber.org/protocol/muc#roominfo"
#define NS_CONFERENCE             "jabber:x:conference" /* XEP-0249 */
#define NS_MUCSUB                 "urn:xmpp:mucsub:0"
#define NS_MUCSUB_NODES           "urn:xmpp:mucsub:nodes:"
#define NS_HATS                   "urn:xmpp:hats:0"                   /* XEP-0317 */
#define NS_OCCUPANT_ID            "urn:xmpp:occupant-id:0"            /* XEP-0421 */
#define NS_PUBSUB                 "http://jabber.org/protocol/pubsub" /* XEP-0060 */
#define NS_PUBSUB_EVENT           "http://jabber.org/protocol/pubsub#event"
#define NS_PUBSUB_OWNER           "http://jabber.org/protocol/pubsub#owner"
#define NS_PUBSUB_ERRORS          "http://jabber.org/protocol/pubsub#errors"
#define NS_PUBSUB_PUBLISH_OPTIONS "http://jabber.org/protocol/pubsub#publish-options"
#define NS_PUBSUB_SUBSCRIBE_OPTIONS \
    "http://jabber.org/protocol/pubsub#subscribe_options"
#define NS_PUBSUB_NODE_CONFIG "http://jabber.org/protocol/pubsub#node_config"
#define NS_BYTESTREAMS        "http://jabber.org/protocol/bytestreams" /* XEP-0065 */
#define NS_DELEGATION         "urn:xmpp:delegation:2"                  /* XEP-0355 */
#define NS_PRIVILEGE          "urn:xmpp:privilege:2"                   /* XEP-0356 */

#endif
