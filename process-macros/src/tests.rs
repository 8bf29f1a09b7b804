//! Compares the expansions with snapshots, and tests that the attributes accept exactly the values that the grammars
//! of `process-model` accept.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use process_model::{Case, Criticality, ErrorText, Objective, Sla, grammar, schedule};
use proptest::prelude::*;
use quote::quote;

use crate::instrument;
use crate::keys::AttributeKind;

fn process(attribute: TokenStream, item: TokenStream) -> TokenStream {
    instrument(AttributeKind::Process, attribute, item)
}

fn pretty(tokens: TokenStream) -> String {
    let file = syn::parse2(tokens).expect("an expansion is a file of items");
    prettyplease::unparse(&file)
}

#[test]
fn an_async_function() {
    assert_snapshot!(pretty(process(
        quote!(
            id = "greet",
            version = "1.0.0",
            sla = "2s",
            context(who, length = who.len(), later(count)),
            rejects(Error::Empty)
        ),
        quote! {
            /// Greets.
            async fn greet(who: &str) -> Result<String, Error> {
                let greeting = greeting_for(who).await?;
                record!(count = greeting.len());
                Ok(greeting)
            }
        },
    )));
}

#[test]
fn a_plain_function() {
    assert_snapshot!(pretty(process(
        quote!(id = "place_order", version = "1.0.0", sla = "300ms", outcome = verdict),
        quote! {
            pub fn place(&mut self, order: Order) -> Receipt {
                self.orders.push(order);
                Receipt::of(&self.orders)
            }
        },
    )));
}

#[test]
fn a_method_that_async_trait_rewrote() {
    assert_snapshot!(pretty(process(
        quote!(id = "send", version = "1.0.0", sla = "5s"),
        quote! {
            fn send<'a, 'async_trait>(
                &'a self,
            ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = u8> + Send + 'async_trait>>
            where
                'a: 'async_trait,
            {
                Box::pin(async move {
                    let __self = self;
                    __self.port
                })
            }
        },
    )));
}

#[test]
fn a_stage() {
    assert_snapshot!(pretty(instrument(
        AttributeKind::Stage,
        quote!(id = "rank", process = "deliberate", after("answers")),
        quote! {
            async fn rank() {
                rank_all().await;
            }
        },
    )));
}

#[test]
fn an_async_test_with_a_contract() {
    assert_snapshot!(pretty(instrument(
        AttributeKind::Contract,
        quote!(process = "greet", case = error("empty")),
        quote! {
            /// An empty name is refused.
            #[tokio::test]
            async fn an_empty_name_is_refused() -> Result<(), Error> {
                greet("").await.unwrap_err();
                Ok(())
            }
        },
    )));
}

#[test]
fn a_plain_test_with_a_contract() {
    assert_snapshot!(pretty(instrument(
        AttributeKind::Contract,
        quote!(process = "greet", case = happy, crate = elsewhere::process_runtime),
        quote! {
            #[rstest]
            #[case("you", 3)]
            fn is_greeted(#[case] name: &str, #[case] letters: usize) {
                assert_eq!(greet(name), letters);
            }
        },
    )));
}

#[test]
fn a_wrong_contract_leaves_the_test_and_reports_every_mistake() {
    assert_snapshot!(pretty(instrument(
        AttributeKind::Contract,
        quote!(proces = "Greet", case = hapy, sla = "2s"),
        quote! {
            #[test]
            fn is_greeted(&self) {
                greet();
            }
        },
    )));
}

#[test]
fn a_check_of_a_process() {
    assert_snapshot!(pretty(instrument(
        AttributeKind::HealthCheck,
        quote!(process = "greet", every = "5m", crate = elsewhere::process_runtime),
        quote! {
            /// Greets one person.
            #[cfg_attr(test, allow(unused))]
            pub(crate) async fn greets() {
                greet("you").await
            }
        },
    )));
}

#[test]
fn a_check_of_a_dependency() {
    assert_snapshot!(pretty(instrument(
        AttributeKind::DependencyCheck,
        quote!(id = "orders_db", timeout = "500ms"),
        quote! {
            async fn answers(
                State(pool): State<Pool>,
                #[cfg(feature = "cache")] mut cache: Arc<dyn Cache>,
            ) -> Result<u64, Error> {
                pool.ping().await
            }
        },
    )));
}

#[test]
fn a_wrong_check_leaves_the_function_and_reports_every_mistake() {
    assert_snapshot!(pretty(instrument(
        AttributeKind::HealthCheck,
        quote!(proces = "Greet", timeout = "30s", every = "0s", cached_for = "5s"),
        quote! {
            unsafe fn greets<T>(&self, name: &str, by: impl Greeting) {
                greet(name);
            }
        },
    )));
}

#[test]
fn a_wrong_attribute_leaves_the_function_and_reports_every_mistake() {
    assert_snapshot!(pretty(process(
        quote!(id = "Greet", verison = "1.0.0", sla = 120, context(wo, later(count))),
        quote! {
            async fn greet(who: &str) -> usize {
                who.len()
            }
        },
    )));
}

/// Returns the number of mistakes that `#[critical_process]` reports.
fn mistakes(attribute: TokenStream) -> usize {
    mistakes_of(AttributeKind::Process, attribute)
}

fn mistakes_of(kind: AttributeKind, attribute: TokenStream) -> usize {
    let is_async = kind.is_check().then(|| quote!(async));
    let tokens = instrument(
        kind,
        attribute,
        quote!(
            #is_async fn f(argument: u8) {}
        ),
    );
    let file: syn::File = syn::parse2(tokens).expect("an expansion is a file of items");
    let is_mistake = |item: &&syn::Item| matches!(item, syn::Item::Macro(call) if call.mac.path.segments.last().is_some_and(|last| last.ident == "compile_error"));
    file.items.iter().filter(is_mistake).count()
}

fn accepts(key: TokenStream) -> bool {
    let complete = quote!(id = "an_id", version = "1.0.0", sla = "1s");
    mistakes(quote!(#complete, #key)) == 0
}

#[test]
fn what_a_macro_leaves_empty_is_no_part_of_a_definition() {
    let definition = |item| {
        let tokens = process(quote!(id = "an_id", version = "1.0.0", sla = "1s"), item).to_string();
        let start = tokens.find("signature").expect("a record");
        tokens[start..].split("version").next().map(str::to_owned)
    };
    assert_eq!(
        definition(quote!(
            fn f(a: u8) {}
        )),
        definition(quote!(
            fn f(a: u8) {}
        ))
    );
}

/// Generates texts. Half of them match the regular expression `right`. A sixth consist of up to three arbitrary
/// characters, followed by a match of `right`. The rest are arbitrary short texts.
fn nearly(right: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![3 => right, 2 => ".{0,8}", 1 => ("[ -~]{0,3}", right).prop_map(|(a, b)| a + &b)]
}

proptest! {
    #[test]
    fn the_attribute_accepts_the_ids_that_the_grammar_accepts(id in nearly("[a-z][a-z0-9_]{0,70}")) {
        let accepted = mistakes(quote!(id = #id, version = "1.0.0", sla = "1s")) == 0;
        prop_assert_eq!(accepted, grammar::check_id(&id).is_ok());
    }

    #[test]
    fn the_attribute_accepts_the_versions_that_the_grammar_accepts(version in nearly("[0-9]{1,3}(\\.[0-9]{1,3}){1,3}(-[a-z.]{1,3})?")) {
        let accepted = mistakes(quote!(id = "an_id", version = #version, sla = "1s")) == 0;
        prop_assert_eq!(accepted, grammar::check_version(&version).is_ok());
    }

    #[test]
    fn the_attribute_accepts_the_slas_that_the_grammar_accepts(sla in nearly("[0-9]{1,6}(ms|s|m|h|d)?")) {
        let accepted = mistakes(quote!(id = "an_id", version = "1.0.0", sla = #sla)) == 0;
        prop_assert_eq!(accepted, sla.parse::<Sla>().is_ok());
    }

    #[test]
    fn the_attribute_accepts_the_objectives_that_the_grammar_accepts(objective in "[0-9]{1,3}(\\.[0-9]{0,8})?") {
        let number: TokenStream = objective.parse().expect("a number");
        prop_assert_eq!(accepts(quote!(objective = #number)), objective.parse::<Objective>().is_ok());
    }

    #[test]
    fn the_attribute_accepts_the_words_that_the_grammar_accepts(word in "critical|high|medium|low|sentry|never|everywhere|[a-z_]{2,9}") {
        prop_assume!(syn::parse_str::<syn::Ident>(&word).is_ok());
        let tokens: TokenStream = word.parse().expect("a word");
        prop_assert_eq!(accepts(quote!(criticality = #tokens)), word.parse::<Criticality>().is_ok());
        prop_assert_eq!(accepts(quote!(error_text = #tokens)), word.parse::<ErrorText>().is_ok());
    }

    #[test]
    fn the_attribute_accepts_the_cases_that_the_grammar_accepts(
        word in "happy|error|timeout|dependency|cancelled|panic|edge|sla|load|context|[a-z_]{2,9}",
        text in prop::option::of(nearly("[a-z][a-z0-9_]{0,70}")),
    ) {
        prop_assume!(syn::parse_str::<syn::Ident>(&word).is_ok());
        let name: TokenStream = word.parse().expect("a word");
        let case = match &text {
            Some(text) => quote!(#name(#text)),
            None => name,
        };
        let accepted = mistakes_of(AttributeKind::Contract, quote!(process = "an_id", case = #case)) == 0;
        prop_assert_eq!(accepted, Case::new(&word, text.as_deref()).is_ok());
    }

    #[test]
    fn the_attribute_accepts_the_times_of_checks_that_the_grammar_accepts(time in nearly("[0-9]{1,5}(ms|s|m|h|d)?")) {
        let accepts = |key| mistakes_of(AttributeKind::HealthCheck, quote!(process = "an_id", #key)) == 0;
        prop_assert_eq!(accepts(quote!(timeout = #time)), schedule::timeout(&time).is_ok());
        prop_assert_eq!(accepts(quote!(every = #time)), schedule::every(&time).is_ok());
        prop_assert_eq!(accepts(quote!(cached_for = #time)), schedule::cached_for(&time).is_ok());
    }

    #[test]
    fn the_attribute_accepts_the_context_keys_that_the_grammar_accepts(key in "error|otel|code|process_(id|version|outcome)|[a-zA-Z_][a-z0-9_]{1,80}") {
        prop_assume!(syn::parse_str::<syn::Ident>(&key).is_ok());
        let tokens: TokenStream = key.parse().expect("a word");
        let right = grammar::check_context_key(&key).is_ok();
        prop_assert_eq!(accepts(quote!(context(#tokens = 1))), right);
        prop_assert_eq!(accepts(quote!(context(later(#tokens)))), right);
        prop_assert_eq!(accepts(quote!(context(inherit(#tokens)))), right);
    }

    #[test]
    fn no_tokens_make_the_attribute_panic(attribute in "[a-z_=(),:;|<>.\"%?!&@#{}0-9 \\[\\]'-]{0,40}", body in "[a-z_=(),:;|<>.\"%?!&@{} -]{0,30}") {
        if let (Ok(attribute), Ok(body)) = (attribute.parse::<TokenStream>(), body.parse::<TokenStream>()) {
            process(attribute.clone(), quote!(fn f(argument: u8) -> Pin<Box<dyn Future<Output = u8>>> { #body }));
            instrument(AttributeKind::Stage, quote!(id = "an_id", #attribute), quote!(fn f() #body));
            instrument(AttributeKind::Contract, quote!(process = "an_id", #attribute), quote!(async fn f() #body));
            instrument(AttributeKind::HealthCheck, quote!(process = "an_id", #attribute), quote!(async fn f() #body));
            instrument(AttributeKind::DependencyCheck, quote!(id = "an_id"), quote!(async fn f(#body) { #attribute }));
            instrument(AttributeKind::Contract, quote!(process = "an_id", case = #attribute), quote!(fn f() { #body }));
        }
    }
}
